"""The management links of an instance, and the binding value from which the SDK's client is made."""

from typing import Any
from urllib.parse import quote

_PUBLIC = "/runtime/webhooks/durabletask/"


class Links:
    """The management links of a host: origin, hub and the extension's key."""

    def __init__(self, origin: str, hub: str, key: str) -> None:
        self._origin = origin
        self._hub = hub
        self._key = key

    @property
    def query(self) -> str:
        """The query string that every link carries."""
        return f"taskHub={quote(self._hub)}&connection=Storage&code={quote(self._key)}"

    def of(self, instance_id: str, origin: str | None = None) -> dict[str, str]:
        """All links of one instance, at the origin under which the caller reached the host."""
        base = f"{origin or self._origin}{_PUBLIC}instances/{instance_id}"
        return {
            "id": instance_id,
            "statusQueryGetUri": f"{base}?{self.query}",
            "sendEventPostUri": f"{base}/raiseEvent/{{eventName}}?{self.query}",
            "terminatePostUri": f"{base}/terminate?reason={{text}}&{self.query}",
            "rewindPostUri": f"{base}/rewind?reason={{text}}&{self.query}",
            "purgeHistoryDeleteUri": f"{base}?{self.query}",
            "restartPostUri": f"{base}/restart?{self.query}",
            "suspendPostUri": f"{base}/suspend?reason={{text}}&{self.query}",
            "resumePostUri": f"{base}/resume?reason={{text}}&{self.query}",
        }

    def binding(self) -> dict[str, Any]:
        """What a durableClient parameter gets."""
        orchestrators = f"{self._origin}{_PUBLIC}orchestrators/{{functionName}}[/{{instanceId}}]?code={self._key}"
        return {
            "taskHubName": self._hub,
            "creationUrls": {
                "createNewInstancePostUri": orchestrators,
                "createAndWaitOnNewInstancePostUri": orchestrators
                + "&timeout={timeoutInSeconds}&pollingInterval={intervalInSeconds}",
            },
            "managementUrls": self.of("INSTANCEID"),
            "baseUrl": f"{self._origin}{_PUBLIC.rstrip('/')}",
            "requiredQueryStringParameters": self.query,
            "rpcBaseUrl": f"{self._origin}/durabletask/",
            "connectionName": "Storage",
        }
