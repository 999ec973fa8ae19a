// Logs, traces and metrics, and who is told when something is wrong. Further rules are rows of `queryAlerts`; what
// shows them, such as a workbook, stands on the outputs.
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

output connectionString string = insights.properties.ConnectionString
output workspaceId string = workspace.id
output insightsId string = insights.id
output operatorsId string = operators.id
