// The app on Container Apps, with the image of infra/Dockerfile: for trainings that want more than Flex has.
param token string
param location string
param tags object
param identityId string
param principalId string
param workspaceId string
param signingKeyUri string
param origins array
param image string
param storageAccount string
param taskHub string
param settings object

@minValue(1)
param minReplicas int = 1

param maxReplicas int = 10

var acrPull = '7f951dda-4ed3-4680-a7ca-43fe172d538d'
var port = 8080
var profile = 'Consumption'

resource registry 'Microsoft.ContainerRegistry/registries@2023-07-01' = {
  name: 'cr${token}'
  location: location
  tags: tags
  sku: {
    name: 'Basic'
  }
  properties: {
    adminUserEnabled: false
  }
}

resource role 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(registry.id, principalId, acrPull)
  scope: registry
  properties: {
    description: 'AcrPull'
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', acrPull)
  }
}

resource environment 'Microsoft.App/managedEnvironments@2025-01-01' = {
  name: 'cae-${token}'
  location: location
  tags: tags
  properties: {
    // By diagnostic settings, which need no key of the workspace.
    appLogsConfiguration: {
      destination: 'azure-monitor'
    }
    // Without profiles a replica has at most two cores and 4 GiB.
    workloadProfiles: [
      {
        name: profile
        workloadProfileType: 'Consumption'
      }
    ]
  }
}

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: environment
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        categoryGroup: 'allLogs'
        enabled: true
      }
    ]
  }
}

// No `kind: 'functionapp'`: its scale rules are made by the platform, which scales durable functions on Azure
// Storage not at all. The rule below counts the activities that wait or run.
resource app 'Microsoft.App/containerApps@2025-01-01' = if (!empty(image)) {
  name: 'ca-${token}'
  location: location
  tags: tags
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    environmentId: environment.id
    workloadProfileName: profile
    configuration: {
      activeRevisionsMode: 'Single'
      ingress: {
        external: true
        allowInsecure: false
        targetPort: port
        corsPolicy: {
          allowedOrigins: origins
          allowedMethods: [
            'GET'
            'POST'
            'PUT'
            'PATCH'
            'DELETE'
            'OPTIONS'
          ]
          allowedHeaders: [
            '*'
          ]
          allowCredentials: true
        }
      }
      registries: [
        {
          server: registry.properties.loginServer
          identity: identityId
        }
      ]
      secrets: [
        {
          name: 'jwt-signing-key'
          keyVaultUrl: signingKeyUri
          identity: identityId
        }
      ]
    }
    template: {
      // A replica that is told to go finishes its slice of five minutes.
      terminationGracePeriodSeconds: 600
      containers: [
        {
          name: 'api'
          image: image
          resources: {
            cpu: 4
            memory: '8Gi'
          }
          env: concat(map(items(settings), each => {
            name: each.key
            value: each.value
          }), [
            {
              name: 'ASPNET_JWT_KEY'
              secretRef: 'jwt-signing-key'
            }
            {
              name: 'FUNCTIONS_WORKER_RUNTIME'
              value: 'python'
            }
          ])
        }
      ]
      scale: {
        minReplicas: minReplicas
        maxReplicas: maxReplicas
        rules: [
          {
            name: 'requests'
            http: {
              metadata: {
                concurrentRequests: '16'
              }
            }
          }
          {
            name: 'activities'
            custom: {
              type: 'azure-queue'
              identity: identityId
              metadata: {
                accountName: storageAccount
                queueName: '${toLower(taskHub)}-workitems'
                queueLength: settings.AzureFunctionsJobHost__extensions__durableTask__maxConcurrentActivityFunctions
              }
            }
          }
        ]
      }
    }
  }
  dependsOn: [
    role
  ]
}

output registry string = registry.name
output url string = empty(image) ? '' : 'https://${app!.properties.configuration.ingress.fqdn}'
