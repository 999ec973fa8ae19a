"""A stand-in for the Azure Functions host: runs a Python v2 function app with HTTP, blob, timer and durable
functions on one machine, without Core Tools. It knows nothing of the app it runs, nor the app of it."""
