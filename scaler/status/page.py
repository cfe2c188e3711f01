"""
The status page: one HTML document that needs nothing else, for a person at three in the morning.

What needs a person comes first; every number has its reason beside it; nothing moves while it is
read. Pure: what is not in the observations is not on the page. All text is escaped, since metadata
and messages come from outside.
"""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from html import escape

from scaler.decision.decision import Decision
from scaler.telemetry import Observation, Standing

STYLE = """
:root { color-scheme: light dark; --ok: #1a7f37; --bad: #b42318; --dim: #6b7280; --line: #8884; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 1.5rem auto; max-width: 76rem; }
body { padding: 0 1rem; }
h1 { font-size: 1.3rem; margin: 0; } h2 { font-size: 1.05rem; margin: 1.8rem 0 .4rem; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-weight: 600; color: var(--dim); font-size: .85rem; }
th, td { padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
.big { font-weight: 700; } .ok { color: var(--ok); } .bad { color: var(--bad); }
.dim { color: var(--dim); } .problem { border-left: 4px solid var(--bad); padding: .3rem .8rem; }
summary { cursor: pointer; } details table { margin: .3rem 0 .8rem 1rem; width: auto; }
pre { white-space: pre-wrap; margin: 0; font: inherit; }
"""

SCRIPT = """
setInterval(async () => {
  const open = [...document.querySelectorAll('details[open]')].map(d => d.id);
  if (String(getSelection())) return;
  try {
    const text = await (await fetch(location.href)).text();
    const fresh = new DOMParser().parseFromString(text, 'text/html').querySelector('main');
    document.querySelector('main').replaceWith(fresh);
    open.forEach(id => document.getElementById(id)?.setAttribute('open', ''));
  } catch {
    document.querySelector('#standing').textContent = 'The scaler does not answer any more.';
  }
}, 5000);
"""


FOOT = (
    '<p class=dim>The same as JSON: <a href="api/decisions">api/decisions</a>. '
    'Metrics: <a href="metrics">metrics</a>. The page renews itself every five seconds.</p>'
)


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


POLICY = (
    f"default-src 'none'; style-src {_hash(STYLE)}; script-src {_hash(SCRIPT)}; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy: this style, this script, and no other."""


def page(seen: Sequence[Observation], standing: Standing, *, version: str, now_s: float) -> str:
    """Return the page."""
    held = [one for one in seen if one.held]
    parts = (
        f"<h1>kvtide <span class=dim>{escape(version)}</span></h1>",
        _standing(seen, held, standing, now_s),
        "" if standing.cluster is None else f"<p class=dim>{escape(standing.cluster)}</p>",
        _held(held, now_s),
        _answers("Inference", [one for one in seen if one.role == "inference"], now_s),
        _answers(
            "Training on borrowed GPUs", [one for one in seen if one.role == "training"], now_s
        ),
        FOOT,
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>kvtide</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body><main>{''.join(parts)}</main>"
        f"<script>{SCRIPT}</script></body></html>"
    )


def _standing(
    seen: Sequence[Observation], held: Sequence[Observation], standing: Standing, now_s: float
) -> str:
    """One sentence on the process; red where a person should look."""
    age_s = now_s - standing.ticked_s
    if standing.draining:
        words, kind = "Shutting down: streams end, another replica answers.", "dim"
    elif age_s > 30:
        words, kind = f"Stuck: the last round of decisions ended {_ago(age_s)}.", "bad"
    elif standing.failure:
        words, kind = f"Cannot read: {standing.failure}. Objects hold once readings are old.", "bad"
    elif not standing.ready:
        words, kind = "Starting: the first read of the history is under way.", "dim"
    elif held:
        words, kind = f"{len(held)} of {len(seen)} objects hold what is; see below.", "bad"
    elif not seen:
        words, kind = "Running. KEDA has not asked about any ScaledObject yet.", "dim"
    else:
        words, kind = f"Running. Every ScaledObject has an answer ({len(seen)}).", "ok"
    return f"<p id=standing class={kind}>{escape(words)}</p>"


def _held(held: Sequence[Observation], now_s: float) -> str:
    """The objects without an answer, and what stands in the way."""
    if not held:
        return ""
    rows = "".join(
        f"<div class=problem><span class=big>{escape(one.key)}</span> "
        f"<span class=bad>{escape(one.reason)}</span> "
        f"<span class=dim>newest reading: {_newest(one, now_s)}</span>"
        f"<pre>{escape(one.detail)}</pre>{_chain(one)}</div>"
        for one in held
    )
    return f"<h2>No answer: KEDA keeps their replicas as they are</h2>{rows}"


def _answers(title: str, seen: Sequence[Observation], now_s: float) -> str:
    answered = [one for one in seen if not one.held]
    if not answered:
        return ""
    columns = ("object", "wanted", "ready", "load", "why", "newest reading")
    head = "".join(f"<th{_right(name)}>{name}</th>" for name in columns)
    rows = "".join(_row(one, now_s) for one in answered)
    return f"<h2>{title}</h2><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _row(one: Observation, now_s: float) -> str:
    decision = one.decision
    load = decision.load if decision else None
    shown = "" if load is None else f"{load:.2f}" if one.role == "inference" else f"{load:.0%}"
    panic = " <span class=bad>panic</span>" if decision and decision.panic else ""
    cells = (
        f"<td>{escape(one.key)}</td>",
        f"<td class='n big'>{_count(decision.replicas if decision else None)}</td>",
        f"<td class=n>{_count(decision.ready_replicas if decision else None)}</td>",
        f"<td class=n>{shown}</td>",
        f"<td>{escape(one.reason)}{panic}: {escape(one.detail)}{_chain(one)}</td>",
        f"<td class=dim>{_newest(one, now_s)}</td>",
    )
    return f"<tr>{''.join(cells)}</tr>"


def _chain(one: Observation) -> str:
    """The steps of a decision, its signals and its notes, folded away."""
    decision = one.decision
    if decision is None:
        return ""
    steps = _table(
        ("replicas", "reason", "because"),
        ((_count(step.replicas), step.reason.value, step.detail) for step in decision.steps),
    )
    signals = _table(
        ("signal", "load", "target", "from"),
        (
            (signal.name, _load(signal.load), f"{signal.target:g}", signal.detail)
            for signal in decision.signals
        ),
    )
    notes = "".join(f"<p class=dim>{escape(note)}</p>" for note in decision.notes)
    safe = f"<p class=dim>{escape(_safe(decision))}</p>" if decision.safe_concurrency else ""
    name = escape(f"steps-{one.key}", quote=True)
    body = f"<summary class=dim>steps</summary>{steps}{signals}{safe}{notes}"
    return f'<details id="{name}">{body}</details>'


def _safe(decision: Decision) -> str:
    by = f", bound by {decision.binding_limit}" if decision.binding_limit else ""
    return f"A replica may hold {decision.safe_concurrency} requests at once{by}."


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    head = "".join(f"<th>{name}</th>" for name in columns)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{cells}</tbody></table>" if cells else ""


def _load(load: float | None) -> str:
    return "abstains" if load is None else f"{load:.2f}"


def _count(count: int | None) -> str:
    return "–" if count is None else str(count)


def _right(name: str) -> str:
    return " class=n" if name in {"wanted", "ready", "load"} else ""


def _newest(one: Observation, now_s: float) -> str:
    return "none yet" if one.newest_s is None else _ago(now_s - one.newest_s)


def _ago(seconds: float) -> str:
    if seconds < 120:
        return f"{max(0, seconds):.0f} s ago"
    return f"{seconds / 60:.0f} min ago" if seconds < 7200 else f"{seconds / 3600:.0f} h ago"
