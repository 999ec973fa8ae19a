// Logs, traces and metrics, the workbook that shows them, and who is told when something is wrong. Further rules are
// rows of `queryAlerts`. docs/operate.md says what to do at each.
param token string
param location string
param tags object
param storageId string
param alertEmail string

// Each looks at Application Insights every five minutes and speaks up when its query has found rows.
var queryAlerts = [
  {
    name: 'failed-requests'
    description: 'More than five requests within fifteen minutes were answered with a server error.'
    query: 'requests | where toint(resultCode) >= 500 | summarize failures = count() | where failures > 5'
  }
  {
    name: 'failed-activities'
    description: 'An activity failed for a reason that lies with us; its retry may help, or may not.'
    query: 'requests | where success == false | where name in ("prepare_training", "train_slice", "finish_training", "read_import")'
  }
  {
    name: 'upkeep-failed'
    description: 'A rule of upkeep failed, or a whole round did.'
    query: 'union (traces | where message has "the rule failed" | project timestamp), (requests | where success == false | where name in ("upkeep_start_lost", "upkeep_clean_up") | project timestamp)'
  }
  {
    name: 'given-up'
    description: 'A job ended as failed because all retries of an activity had failed.'
    query: 'requests | where name in ("fail_training", "fail_import")'
  }
  {
    name: 'out-of-memory'
    description: 'More than two trainings within fifteen minutes needed more memory than they may have.'
    query: 'traces | where message has "the training failed: ChildOutOfMemory" | summarize failures = count() | where failures > 2'
  }
  {
    name: 'storage-trouble'
    description: 'Storage answered late, with errors or not at all more than ten times within fifteen minutes.'
    query: 'traces | where message has "storage failed" or message has "could not be written" or message has "could not be uploaded" | summarize failures = count() | where failures > 10'
  }
  {
    name: 'long-waits'
    description: 'Five trainings or more waited fifteen minutes on average from their making to their first activity.'
    query: 'customMetrics | where name == "jobs.queue.duration" | summarize jobs = sum(valueCount), seconds = sum(valueSum) | where jobs >= 5 and seconds > 900 * jobs'
  }
  {
    name: 'silent-uploads'
    description: 'The canvas started five trainings or more, and not one upload was announced: events do not arrive.'
    query: 'requests | where name in ("training_jobs_job_id_start", "on_dataset_uploaded") | summarize starts = countif(name == "training_jobs_job_id_start"), events = countif(name == "on_dataset_uploaded") | where starts >= 5 and events == 0'
  }
  {
    name: 'refused-uploads'
    description: 'More than twenty uploads were refused within fifteen minutes.'
    query: 'customMetrics | where name == "uploads.rejected" | summarize files = sum(valueSum) | where files > 20'
  }
]

resource workspace 'Microsoft.OperationalInsights/workspaces@2023-09-01' = {
  name: 'log-${token}'
  location: location
  tags: tags
  properties: {
    retentionInDays: 30
    sku: {
      name: 'PerGB2018'
    }
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: 'appi-${token}'
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspace.id
  }
}

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, 'workbook')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Network canvas'
    category: 'workbook'
    sourceId: insights.id
    serializedData: loadTextContent('../workbook.json')
  }
}

resource operators 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: 'ag-${token}'
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'canvas'
    emailReceivers: empty(alertEmail) ? [] : [
      {
        name: 'operators'
        emailAddress: alertEmail
        useCommonAlertSchema: true
      }
    ]
  }
}

resource queryAlert 'Microsoft.Insights/scheduledQueryRules@2022-06-15' = [for each in queryAlerts: {
  name: '${each.name}-${token}'
  location: location
  tags: tags
  properties: {
    description: each.description
    severity: 2
    enabled: true
    scopes: [
      insights.id
    ]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    criteria: {
      allOf: [
        {
          query: each.query
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
        }
      ]
    }
    actions: {
      actionGroups: [
        operators.id
      ]
    }
  }
}]

resource storageAlert 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: 'storage-${token}'
  location: 'global'
  tags: tags
  properties: {
    description: 'The storage account refuses or loses more than one request in a hundred.'
    severity: 1
    enabled: true
    scopes: [
      storageId
    ]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          criterionType: 'StaticThresholdCriterion'
          name: 'availability'
          metricName: 'Availability'
          operator: 'LessThan'
          threshold: 99
          timeAggregation: 'Average'
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

resource throttlingAlert 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: 'throttling-${token}'
  location: 'global'
  tags: tags
  properties: {
    description: 'The storage account turns requests away because there are too many.'
    severity: 2
    enabled: true
    scopes: [
      storageId
    ]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          criterionType: 'StaticThresholdCriterion'
          name: 'throttled'
          metricName: 'Transactions'
          operator: 'GreaterThan'
          threshold: 100
          timeAggregation: 'Total'
          dimensions: [
            {
              name: 'ResponseType'
              operator: 'Include'
              values: [
                'ClientThrottlingError'
                'ServerBusyError'
                'ClientAccountRequestThrottlingError'
              ]
            }
          ]
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

output connectionString string = insights.properties.ConnectionString
output workspaceId string = workspace.id
output insightsId string = insights.id
output operatorsId string = operators.id
