"""What a page did: every request, every word on its console. A test ends well if there was nothing to complain of."""

import re

AXE_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]


class Watch:
    """Complaints about a page of `origin`; `expect` names those that a test brings about."""

    def __init__(self, page, origin):
        self.origin, self.expected, self.found, self.requests = origin, [], [], []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.found.append(f"error: {error.stack or error}"))
        page.on("request", self._request)
        page.on("response", self._response)

    def _console(self, message):
        if message.type in ("error", "warning"):
            self.found.append(f"console: {message.text} ({message.location.get('url')})")

    def _request(self, request):
        self.requests.append(request)
        if not request.url.startswith((self.origin + "/", "blob:", "data:")):
            self.found.append(f"another origin: {request.url}")

    def _response(self, response):
        if response.status >= 500:
            self.found.append(f"status: {response.status} of {response.url}")

    def expect(self, *patterns):
        """Let pass what one of these regular expressions is found in."""
        self.expected.extend(patterns)

    def complaints(self):
        """What was found and not expected."""
        return [words for words in self.found if not any(re.search(pattern, words) for pattern in self.expected)]
