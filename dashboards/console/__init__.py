"""The console: what people look at and act from, as pages made on the server (Starlette, Jinja2, htmx, uPlot).

How a page is added:

1. A handler: a plain function `def page(visit: Visit) -> Answer` in `pages/` (`visit.py`). It runs in a thread and may
   block. It reads `visit.path["place"]`, `visit.query.text("name")`, `visit.form.text("name")`, `visit.who` (the
   account), `visit.may("action")`, `visit.zone`, `visit.now_us`, and asks `visit.parts.…` for everything from outside.
   It returns `Page("template.html", {"title": "words.key", …})`, `Redirect("/path")`, or, where evidence is shown,
   `Evidence(page=…, look="actor", rows=…, about=token, reason=…)`. Errors of `pipeline.errors` that it raises
   become pages: UsageError 400, Forbidden 403, Away 503 with what is missing and since when.
2. A row in `routes.py`: method, path with places (`/actors/{token}`), the action of `accounts.permissions` that it
   takes (or PUBLIC, SIGNED_IN), the handler, and `shows_evidence=True` where it answers `Evidence`: `guard.py` then
   tells `visit.parts.trail` and sends the page only when Kafka has acknowledged. A part of a page that htmx loads is a
   route like any other, whose template does not extend `base.html`.
3. A template in `templates/` that extends `base.html` and fills `content`. `t("key", …)` gives words, `either(en, zh)`
   picks one of two texts, `parts.csrf_field()` belongs into every `<form method="post">` (requests of htmx carry the
   token by themselves), `parts.field(…)` makes a labelled input; filters `moment`, `day`, `span`, `risk`, `token`,
   `number`. No inline script, no inline style, no `style=`: the policy forbids them.
4. Words in `words_<page>.py`, named in `words.py`: every key in English and Chinese.
5. What it needs from outside: a Protocol in `ports.py` and a field of `Parts`; `pipeline/cli/console.py` fills it.
6. A row of `MENU` in `rendering.py` if it belongs into the main menu.

Tests walk the table: every route with every role, every template in both languages.
"""
