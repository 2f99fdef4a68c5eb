"""The headers of every answer, set in one place before anything looks at the request."""

from twisted.web.http_headers import Headers

# Nothing is loaded from anywhere else, nothing inline runs, and nobody puts us into a frame.
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_ALWAYS = {
    "Content-Security-Policy": _POLICY,
    # The token is in the address.
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "X-Robots-Tag": "noindex, nofollow",
    # Tokens and passwords are in most answers: what may be kept says so itself.
    # Some proxies rewrite pages otherwise, and what looks like an email address in them.
    "Cache-Control": "no-store, no-transform",
}
_ONLY_HTTPS = "max-age=31536000"


def let_scripts_read(headers: Headers, *names: str) -> None:
    """Let scripts of other sites read an answer, and its headers ``names``, without cookies."""
    headers.setRawHeaders("Access-Control-Allow-Origin", ["*"])
    headers.setRawHeaders("Access-Control-Expose-Headers", [", ".join(names)])


def secure(headers: Headers, *, https: bool) -> None:
    """Set what protects a visitor; ``https`` is whether they came that way."""
    for name, value in _ALWAYS.items():
        headers.setRawHeaders(name, [value])
    headers.removeHeader("Server")
    if https:
        headers.setRawHeaders("Strict-Transport-Security", [_ONLY_HTTPS])
