// Tells the blob functions of Flex Consumption, where nothing polls, what has been uploaded. Deployed after the code:
// the key of the webhook is made when the app first runs, and the app must answer when it is subscribed.
param functionAppName string
param storageAccountName string
param location string = resourceGroup().location
param tags object = {}

// Each blob function, and the events that are meant for it.
var functions = [
  {
    name: 'on_dataset_uploaded'
    container: 'uploads'
    endsWith: '/source.csv'
  }
  {
    name: 'on_rows_uploaded'
    container: 'uploads'
    endsWith: '/rows.csv'
  }
  {
    name: 'on_model_uploaded'
    container: 'imports'
    endsWith: ''
  }
]

resource app 'Microsoft.Web/sites@2024-11-01' existing = {
  name: functionAppName
}

resource account 'Microsoft.Storage/storageAccounts@2024-01-01' existing = {
  name: storageAccountName
}

resource operators 'Microsoft.Insights/actionGroups@2023-01-01' existing = {
  name: replace(functionAppName, 'func-', 'ag-')
}

resource topic 'Microsoft.EventGrid/systemTopics@2022-06-15' = {
  name: 'evgt-${storageAccountName}'
  location: location
  tags: tags
  properties: {
    source: account.id
    topicType: 'Microsoft.Storage.StorageAccounts'
  }
}

@batchSize(1)
resource subscription 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2022-06-15' = [for each in functions: {
  parent: topic
  name: replace(each.name, '_', '-')
  properties: {
    eventDeliverySchema: 'EventGridSchema'
    destination: {
      endpointType: 'WebHook'
      properties: {
        endpointUrl: 'https://${app.properties.defaultHostName}/runtime/webhooks/blobs?functionName=Host.Functions.${each.name}&code=${listKeys('${app.id}/host/default', '2024-11-01').systemKeys.blobs_extension}'
        maxEventsPerBatch: 1
      }
    }
    filter: {
      includedEventTypes: [
        'Microsoft.Storage.BlobCreated'
      ]
      subjectBeginsWith: '/blobServices/default/containers/${each.container}/blobs/'
      subjectEndsWith: each.endsWith
    }
    retryPolicy: {
      maxDeliveryAttempts: 30
      eventTimeToLiveInMinutes: 1440
    }
  }
}]

resource lostEvents 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: 'events-${storageAccountName}'
  location: 'global'
  tags: tags
  properties: {
    description: 'Announcements of uploads do not reach the app; trainings start by POST start only.'
    severity: 2
    enabled: true
    scopes: [
      topic.id
    ]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          criterionType: 'StaticThresholdCriterion'
          name: 'failed'
          metricName: 'DeliveryAttemptFailCount'
          operator: 'GreaterThan'
          threshold: 5
          timeAggregation: 'Total'
        }
      ]
    }
    actions: [
      {
        actionGroupId: operators.id
      }
    ]
  }
}
