"""What a browser is shown instead of an application: small pages that need nothing from elsewhere."""

from __future__ import annotations

from html import escape

from starlette.responses import HTMLResponse

RELOAD_SECONDS = 3

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">{head}
<title>{title}</title>
<style>
  body {{ font: 17px/1.5 system-ui, sans-serif; max-width: 34em; margin: 18vh auto; padding: 0 1em; color: #222; }}
  h1 {{ font-size: 1.4em; }}
  @media (prefers-color-scheme: dark) {{ body {{ background: #1b1d1f; color: #ddd; }} }}
</style></head>
<body><h1>{title}</h1><p>{text}</p></body></html>
"""
_SECURITY = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
}


def not_listening() -> HTMLResponse:
    """IS-22: looks again by itself."""
    text = "The job runs, and its application does not answer yet. This page looks again every few seconds."
    return _page(502, "The application is starting", text, f'<meta http-equiv="refresh" content="{RELOAD_SECONDS}">')


def away(why: str) -> HTMLResponse:
    return _page(503, "Not reachable at the moment", why, f'<meta http-equiv="refresh" content="{RELOAD_SECONDS}">')


def broken() -> HTMLResponse:
    text = "The application closed the connection, or answered with something else than HTTP. Its log may say why."
    return _page(502, "The application broke off", text)


def not_allowed(why: str) -> HTMLResponse:
    return _page(403, "This page is not open to you", f"{why} Open it again from the page of the job.")


def _page(status: int, title: str, text: str, head: str = "") -> HTMLResponse:
    content = _PAGE.format(title=escape(title), text=escape(text), head=head)
    return HTMLResponse(content, status, headers=_SECURITY)
