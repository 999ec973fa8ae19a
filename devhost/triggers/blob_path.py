"""The path of a blob trigger: a container and a name in which `{tokens}` stand for anything."""

import re
from dataclasses import dataclass

from devhost.errors import HostError

_TOKEN = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class BlobPath:
    """`container` is literal; `prefix` is the literal beginning of the name, which narrows the listing."""

    container: str
    prefix: str
    pattern: re.Pattern[str]

    @classmethod
    def parse(cls, function: str, path: str) -> "BlobPath":
        """Reads `container/name{token}…`; a container alone means all its blobs. Raises HostError."""
        container, _, name = path.strip("/").partition("/")
        if not container or "{" in container:
            raise HostError(f"function {function}: the blob path '{path}' must begin with a container name.")
        name = name or "{name}"
        pattern, last = "", 0
        for token in _TOKEN.finditer(name):
            # Greedy and across slashes, as the WebJobs SDK matches.
            pattern += re.escape(name[last : token.start()]) + "(.*)"
            last = token.end()
        pattern += re.escape(name[last:])
        return cls(container, name.partition("{")[0], re.compile(pattern))

    def matches(self, name: str) -> bool:
        """Whether a blob of the container is meant."""
        return self.pattern.fullmatch(name) is not None
