// Everything that the backend needs on Azure, in a resource group of its own. docs/deploy.md tells how to use it.
targetScope = 'subscription'

@minLength(1)
@maxLength(40)
@description('Name of this deployment, e.g. production.')
param environmentName string

@description('Region of all resources; for Flex Consumption one that has it.')
@metadata({
  azd: {
    type: 'location'
  }
})
param location string

@minLength(8)
@description('Origins of the canvas, separated by commas, e.g. https://canvas.example.org.')
param canvasOrigins string

@secure()
@description('Key of the HS256 bearer tokens. Empty leaves the one in the vault as it is.')
param signingKey string = ''

@description('Who is told when something is wrong. Empty: nobody.')
param alertEmail string = ''

@allowed([
  'flexConsumption'
  'containerApps'
])
@description('Container Apps are for longer or heavier trainings: more memory, cores and disk.')
param hosting string = 'flexConsumption'

@description('Container Apps only: the image in the registry. Empty at first, when there is a registry but no image.')
param image string = ''

@allowed([
  'azureStorage'
  'durableTaskScheduler'
])
@description('Where the durable functions keep their state.')
param durableStorage string = 'azureStorage'

@allowed([
  'Standard_LRS'
  'Standard_ZRS'
])
@description('Copies of all data: in one data centre, or in three zones of the region.')
param storageRedundancy string = 'Standard_LRS'

@minValue(1)
@description('Days after which an uploaded file is deleted, whatever became of its job.')
param uploadDays int = 30

@minValue(0)
@description('Days after which models, logs and results are deleted; 0 keeps them.')
param artifactDays int = 0

@minValue(40)
@maxValue(125)
@description('Flex Consumption: most instances. 125 of 4096 MB are the quota of a region.')
param maximumInstanceCount int = 40

@description('Flex Consumption: instances that always run, by group of functions. The blob group must have one.')
param alwaysReady array = [
  {
    name: 'durable'
    instanceCount: 1
  }
  {
    name: 'blob'
    instanceCount: 1
  }
]

@description('Further settings of the README\'s table, by name.')
param settings object = {}

var token = toLower(uniqueString(subscription().id, environmentName, location))
var tags = {
  'azd-env-name': environmentName
}
var isFlex = hosting == 'flexConsumption'
var hasScheduler = durableStorage == 'durableTaskScheduler'
var origins = split(canvasOrigins, ',')
var taskHub = 'NetworkCanvas'
var containers = {
  artifacts: 'maid-artifacts'
  graphs: 'graphs'
  uploads: 'uploads'
  imports: 'imports'
}

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: 'rg-canvas-${environmentName}'
  location: location
  tags: tags
}

module identity 'modules/identity.bicep' = {
  name: 'identity'
  scope: group
  params: {
    name: 'id-${token}'
    location: location
    tags: tags
  }
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  scope: group
  params: {
    name: 'st${token}'
    location: location
    tags: tags
    redundancy: storageRedundancy
    containers: containers
    origins: origins
    uploadDays: uploadDays
    artifactDays: artifactDays
    principalId: identity.outputs.principalId
  }
}

module vault 'modules/vault.bicep' = {
  name: 'vault'
  scope: group
  params: {
    name: 'kv-${token}'
    location: location
    tags: tags
    signingKey: signingKey
    principalId: identity.outputs.principalId
  }
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  scope: group
  params: {
    token: token
    location: location
    tags: tags
    storageId: storage.outputs.id
    alertEmail: alertEmail
  }
}

module scheduler 'modules/scheduler.bicep' = if (hasScheduler) {
  name: 'scheduler'
  scope: group
  params: {
    name: 'dts-${token}'
    location: location
    tags: tags
    taskHub: taskHub
    principalId: identity.outputs.principalId
  }
}

// What both kinds of hosting are told. Only what differs from the defaults in core/base/settings.py, and what
// bindings and host.json read by name, which do not know those defaults.
var common = {
  AzureWebJobsStorage__accountName: storage.outputs.name
  AzureWebJobsStorage__blobServiceUri: storage.outputs.blobEndpoint
  AzureWebJobsStorage__queueServiceUri: storage.outputs.queueEndpoint
  AzureWebJobsStorage__tableServiceUri: storage.outputs.tableEndpoint
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identity.outputs.clientId
  AZURE_CLIENT_ID: identity.outputs.clientId
  APPLICATIONINSIGHTS_CONNECTION_STRING: monitoring.outputs.connectionString
  AZURE_CONTAINER: containers.artifacts
  GRAPHS_CONTAINER: containers.graphs
  UPLOADS_CONTAINER: containers.uploads
  IMPORTS_CONTAINER: containers.imports
  TASK_HUB_NAME: taskHub
  TRAINING_THREADS: '2'
  CHILD_MEMORY_MB: '3072'
}

// An instance has 4096 MB, about two cores and 0.8 GB of disk: one training at a time, and no file that could
// not be prepared there.
var flexSettings = {
  BLOB_TRIGGER_SOURCE: 'EventGrid'
  MAX_PRESIGNED_UPLOAD_SIZE: '167772160'
  AzureFunctionsJobHost__extensions__durableTask__maxConcurrentActivityFunctions: '1'
}

// A replica has 8 GiB, four cores and 8 GiB of disk: two trainings at a time. One replica always runs, so the
// containers can be polled.
var containerSettings = {
  BLOB_TRIGGER_SOURCE: 'LogsAndContainerScan'
  AzureFunctionsJobHost__extensions__durableTask__maxConcurrentActivityFunctions: '2'
}

var schedulerSettings = {
  DURABLE_TASK_SCHEDULER_CONNECTION_STRING: hasScheduler ? 'Endpoint=${scheduler!.outputs.endpoint};Authentication=ManagedIdentity;ClientID=${identity.outputs.clientId}' : ''
  AzureFunctionsJobHost__extensions__durableTask__storageProvider__type: 'azureManaged'
  AzureFunctionsJobHost__extensions__durableTask__storageProvider__connectionStringName: 'DURABLE_TASK_SCHEDULER_CONNECTION_STRING'
}

// Queues are looked at every five seconds at least; the default of thirty is felt where instances come and go.
var queueSettings = {
  AzureFunctionsJobHost__extensions__durableTask__storageProvider__maxQueuePollingInterval: '00:00:05'
}

module flex 'modules/flex.bicep' = if (isFlex) {
  name: 'flex'
  scope: group
  params: {
    token: token
    location: location
    tags: tags
    identityId: identity.outputs.id
    packageContainer: storage.outputs.packageContainer
    signingKeyUri: vault.outputs.signingKeyUri
    origins: origins
    maximumInstanceCount: maximumInstanceCount
    alwaysReady: alwaysReady
    settings: union(common, flexSettings, hasScheduler ? schedulerSettings : queueSettings, settings)
  }
}

module apps 'modules/containers.bicep' = if (!isFlex) {
  name: 'containers'
  scope: group
  params: {
    token: token
    location: location
    tags: tags
    identityId: identity.outputs.id
    principalId: identity.outputs.principalId
    workspaceId: monitoring.outputs.workspaceId
    signingKeyUri: vault.outputs.signingKeyUri
    origins: origins
    image: image
    storageAccount: storage.outputs.name
    taskHub: taskHub
    settings: union(common, containerSettings, hasScheduler ? schedulerSettings : queueSettings, settings)
  }
}

output AZURE_RESOURCE_GROUP string = group.name
output STORAGE_ACCOUNT_NAME string = storage.outputs.name
output KEY_VAULT_NAME string = vault.outputs.name
output FUNCTION_APP_NAME string = isFlex ? flex!.outputs.name : ''
output CONTAINER_REGISTRY string = !isFlex ? apps!.outputs.registry : ''
output API_URL string = '${isFlex ? flex!.outputs.url : ''}${!isFlex ? apps!.outputs.url : ''}'
