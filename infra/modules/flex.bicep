// The app on Flex Consumption. HTTP, durable and blob functions scale as three groups of instances of their own.
param token string
param location string
param tags object
param identityId string
param packageContainer string
param signingKeyUri string
param origins array
param maximumInstanceCount int
param alwaysReady array
param settings object

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  name: 'plan-${token}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
  }
}

resource app 'Microsoft.Web/sites@2024-11-01' = {
  name: 'func-${token}'
  location: location
  tags: union(tags, {
    'azd-service-name': 'api'
  })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    keyVaultReferenceIdentity: identityId
    siteConfig: {
      minTlsVersion: '1.2'
      cors: {
        allowedOrigins: origins
        supportCredentials: true
      }
      appSettings: [for each in items(union(settings, {
        ASPNET_JWT_KEY: '@Microsoft.KeyVault(SecretUri=${signingKeyUri})'
      })): {
        name: each.key
        value: each.value
      }]
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: packageContainer
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: {
        name: 'python'
        version: '3.11'
      }
      scaleAndConcurrency: {
        // TensorFlow takes half a gigabyte before it has done anything; two cores come with this size.
        instanceMemoryMB: 4096
        maximumInstanceCount: maximumInstanceCount
        alwaysReady: alwaysReady
        triggers: {
          http: {
            // Compiling and predicting are work for a processor; above this another instance is cheaper than waiting.
            perInstanceConcurrency: 16
          }
        }
      }
      siteUpdateStrategy: {
        // All instances change at once: orchestrations never meet two versions. What was running ends and resumes.
        type: 'Recreate'
      }
    }
  }
}

output name string = app.name
output url string = 'https://${app.properties.defaultHostName}'
