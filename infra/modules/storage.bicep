// The storage account: data, durable state, uploads by browsers, and the package of the app. No key opens it.
param name string
param location string
param tags object
param redundancy string
param containers object
param origins array
param uploadDays int
param artifactDays int
param principalId string

var packages = 'packages'

// Role ids are the same in every tenant.
var roles = {
  // Durable state and the host's leases, and what the app stores. The host and its blob trigger are documented to
  // need Owner, not Contributor; it includes the signing of upload links (user-delegation keys).
  'Storage Blob Data Owner': 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
  // Queues of the durable functions, and of blobs that were announced.
  'Storage Queue Data Contributor': '974c5e8b-45b9-4653-ba55-5f855dd0fb88'
  // Rows of jobs, graphs and quotas; histories of the durable functions.
  'Storage Table Data Contributor': '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
}

var deleteUploads = {
  name: 'delete-uploads'
  enabled: true
  type: 'Lifecycle'
  definition: {
    filters: {
      blobTypes: [
        'blockBlob'
        'appendBlob'
      ]
      prefixMatch: [
        '${containers.uploads}/'
        '${containers.imports}/'
      ]
    }
    actions: {
      baseBlob: {
        delete: {
          daysAfterModificationGreaterThan: uploadDays
        }
      }
    }
  }
}

var coolArtifacts = {
  name: 'cool-artifacts'
  enabled: true
  type: 'Lifecycle'
  definition: {
    filters: {
      blobTypes: [
        'blockBlob'
      ]
      prefixMatch: [
        '${containers.artifacts}/'
      ]
    }
    actions: {
      baseBlob: {
        tierToCool: {
          daysAfterModificationGreaterThan: 30
        }
      }
    }
  }
}

var deleteArtifacts = {
  name: 'delete-artifacts'
  enabled: true
  type: 'Lifecycle'
  definition: {
    filters: {
      blobTypes: [
        'blockBlob'
      ]
      prefixMatch: [
        '${containers.artifacts}/'
      ]
    }
    actions: {
      baseBlob: {
        delete: {
          daysAfterModificationGreaterThan: artifactDays
        }
      }
    }
  }
}

resource account 'Microsoft.Storage/storageAccounts@2024-01-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: {
    name: redundancy
  }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    // Browsers upload straight to it, by links that are good for one file and an hour.
    publicNetworkAccess: 'Enabled'
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2024-01-01' = {
  parent: account
  name: 'default'
  properties: {
    cors: {
      corsRules: [
        {
          allowedOrigins: origins
          allowedMethods: [
            'PUT'
            'GET'
            'HEAD'
          ]
          allowedHeaders: [
            'content-type'
            'content-md5'
            'if-none-match'
            'x-ms-*'
          ]
          exposedHeaders: [
            'etag'
            'content-disposition'
            'x-ms-*'
          ]
          maxAgeInSeconds: 600
        }
      ]
    }
  }
}

resource container 'Microsoft.Storage/storageAccounts/blobServices/containers@2024-01-01' = [for each in items(containers): {
  parent: blobs
  name: each.value
}]

resource packageContainer 'Microsoft.Storage/storageAccounts/blobServices/containers@2024-01-01' = {
  parent: blobs
  name: packages
}

resource lifecycle 'Microsoft.Storage/storageAccounts/managementPolicies@2024-01-01' = {
  parent: account
  name: 'default'
  properties: {
    policy: {
      rules: artifactDays > 0 ? [deleteUploads, coolArtifacts, deleteArtifacts] : [deleteUploads, coolArtifacts]
    }
  }
}

resource role 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for each in items(roles): {
  name: guid(account.id, principalId, each.value)
  scope: account
  properties: {
    description: each.key
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', each.value)
  }
}]

output id string = account.id
output name string = account.name
output blobEndpoint string = account.properties.primaryEndpoints.blob
output queueEndpoint string = account.properties.primaryEndpoints.queue
output tableEndpoint string = account.properties.primaryEndpoints.table
output packageContainer string = '${account.properties.primaryEndpoints.blob}${packages}'
