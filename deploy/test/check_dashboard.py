#!/usr/bin/env python3
"""Checks dashboard and alerts against the metrics that mailkeeper declares.

usage: check_dashboard.py [--exposition FILE] [--rules-out FILE]

Fails when
- the dashboard is not JSON, two panels share an id, panels overlap, or a panel has no query, title or description;
- a query does not filter by $tenant though the metric has that label, or a data source is not the variable;
- an expression of dashboard, alerts or alert tests names a metric, a label or a label value that metrics.txt lacks;
- a declared metric is used by neither of them, and metrics.txt does not say `# not shown: why`;
- an alert lacks severity, summary, description or runbook, or is not shown both to fire and to stay quiet.

--exposition FILE   a real /metrics text: every mailkeeper_ metric in it must be declared, with the same type and labels.
--rules-out FILE    writes all panel expressions as a rules file, for `promtool check rules`.

Python's standard library only. PromQL is read by pattern, not parsed: promtool does that with the file of --rules-out.
"""

import argparse
import json
import pathlib
import re
import sys

DEPLOY = pathlib.Path(__file__).resolve().parent.parent
METRICS = DEPLOY / "metrics.txt"
DASHBOARD = DEPLOY / "grafana" / "dashboard.json"
ALERTS = DEPLOY / "prometheus" / "alerts.yaml"
ALERT_TESTS = DEPLOY / "prometheus" / "alerts_test.yaml"

# Series that Prometheus, its client library or our own recording rule make; everything else must be declared.
FOREIGN = {"up", "ALERTS", "process_resident_memory_bytes", "process_open_fds"}
RECORDED = re.compile(r"^mailkeeper:")
# Labels that scraping adds.
SCRAPE_LABELS = {"job", "instance", "le"}
HISTOGRAM_SUFFIXES = ("_bucket", "_sum", "_count")

SELECTOR = re.compile(r"\b(mailkeeper[_:][a-z0-9_:]+)(?:\{([^}]*)\})?")
FOREIGN_SELECTOR = re.compile(r"\b(?!mailkeeper[_:])([a-zA-Z_:][a-zA-Z0-9_:]*)\{")
MATCHER = re.compile(r'([a-z_]+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"')
GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([a-z_, ]*)\)")
PLACEHOLDER = re.compile(r"\{\{\s*(?:\$labels\.)?([a-z_]+)\s*\}\}")


class Metric:
    """One line of metrics.txt: the type, for each label its closed set of values or None, and whether it is shown."""

    def __init__(self, kind, labels, is_shown):
        self.kind = kind
        self.labels = labels
        self.is_shown = is_shown


class Report:
    """Collects faults, so that all are shown at once."""

    def __init__(self):
        self.faults = []

    def fault(self, where, what):
        self.faults.append(f"{where}: {what}")


def read_metrics(path):
    metrics = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        words = line.split("#")[0].split()
        if not words:
            continue
        labels = {}
        for word in words[2:]:
            name, _, values = word.partition("=")
            labels[name] = values.split("|") if values else None
        metrics[words[0]] = Metric(words[1], labels, "# not shown:" not in line)
    return metrics


def declared(metrics, name):
    """The metric that a series name belongs to, or None."""
    if name in metrics and metrics[name].kind != "histogram":
        return metrics[name]
    for suffix in HISTOGRAM_SUFFIXES:
        base = name.removesuffix(suffix)
        if base != name and base in metrics and metrics[base].kind == "histogram":
            return metrics[base]
    return None


def check_expression(report, metrics, where, expression, used):
    """Names, labels and closed label values of one PromQL expression."""
    known_labels = set(SCRAPE_LABELS) | {"alertname", "alertstate", "severity"}
    for name in FOREIGN_SELECTOR.findall(expression):
        if name not in FOREIGN:
            report.fault(where, f"unknown metric {name}")
    for name, matchers in SELECTOR.findall(expression):
        if RECORDED.match(name):
            known_labels |= set(metrics["mailkeeper_mailbox_deadline_timestamp_seconds"].labels)
            continue
        metric = declared(metrics, name)
        if metric is None:
            report.fault(where, f"unknown metric {name}")
            continue
        used.add(name if name in metrics else re.sub(r"_(bucket|sum|count)$", "", name))
        known_labels |= set(metric.labels)
        check_matchers(report, where, name, metric, matchers)
    for names in GROUPING.findall(expression):
        for label in filter(None, (word.strip() for word in names.split(","))):
            if label not in known_labels:
                report.fault(where, f"no metric of the expression has a label {label}")
    return known_labels


def check_matchers(report, where, name, metric, matchers):
    for label, operator, value in MATCHER.findall(matchers):
        if label in SCRAPE_LABELS:
            continue
        if label not in metric.labels:
            report.fault(where, f"{name} has no label {label}")
            continue
        values = metric.labels[label]
        if values is None:
            continue
        wanted = value.split("|") if "~" in operator else [value]
        for one in wanted:
            if one not in values:
                report.fault(where, f'{name}: {label} is never "{one}", only {", ".join(values)}')


def all_panels(panels):
    for panel in panels:
        yield panel
        yield from all_panels(panel.get("panels", []))


def check_layout(report, panels):
    ids = [panel["id"] for panel in panels]
    for double in sorted({one for one in ids if ids.count(one) > 1}):
        report.fault("dashboard", f"panel id {double} is used twice")
    cells = {}
    for panel in panels:
        place = panel["gridPos"]
        if place["x"] + place["w"] > 24:
            report.fault(panel["title"], "is wider than the dashboard")
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                other = cells.setdefault((x, y), panel["title"])
                if other != panel["title"]:
                    report.fault(panel["title"], f"overlaps {other}")
                    return


def check_dashboard(report, metrics, used):
    """Returns every expression of the dashboard with the place where it stands."""
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    panels = list(all_panels(dashboard["panels"]))
    check_layout(report, panels)
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    if variables != {"datasource", "tenant"}:
        report.fault("dashboard", f"variables are {sorted(variables)}, not datasource and tenant")

    expressions = []
    for panel in panels:
        if panel["type"] == "row":
            continue
        where = f'panel "{panel.get("title")}"'
        if not panel.get("title") or not panel.get("description"):
            report.fault(where, "lacks title or description")
        if not panel.get("targets"):
            report.fault(where, "has no query")
        for target in panel.get("targets", []):
            expressions.append((where, target["expr"], target.get("legendFormat", "")))
            check_datasource(report, where, target)
        check_datasource(report, where, panel)
    for annotation in dashboard["annotations"]["list"]:
        where = f'annotation "{annotation["name"]}"'
        expressions.append((where, annotation["expr"], annotation["titleFormat"]))
        check_datasource(report, where, annotation)

    for where, expression, legend in expressions:
        labels = check_expression(report, metrics, where, expression, used)
        for label in PLACEHOLDER.findall(legend):
            if label not in labels:
                report.fault(where, f"legend shows {label}, which no metric of it has")
        for name, matchers in SELECTOR.findall(expression):
            metric = declared(metrics, name)
            if metric and "tenant" in metric.labels and "$tenant" not in matchers:
                report.fault(where, f"{name} is not filtered by $tenant")
    return expressions


def check_datasource(report, where, part):
    if part.get("datasource", {}).get("uid") != "${datasource}":
        report.fault(where, "does not use the variable data source")


def blocks(text, start):
    """Splits YAML text at lines that match `start`; each block is the match and the lines up to the next."""
    found = list(re.finditer(start, text, re.MULTILINE))
    ends = [match.start() for match in found[1:]] + [len(text)]
    return [(match.group(1), text[match.start() : end]) for match, end in zip(found, ends)]


def check_alerts(report, metrics, used):
    text = re.sub(r"^\s*#.*$", "", ALERTS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    names = []
    for name, block in blocks(text, r"^ +- (?:alert|record): (\S+)$"):
        where = f"alert {name}"
        expression = re.split(r"^ +(?:for|labels|annotations|- name):", block.split("expr:", 1)[1], flags=re.MULTILINE)[0]
        labels = check_expression(report, metrics, where, expression, used)
        if RECORDED.match(name):
            continue
        names.append(name)
        for label in re.findall(r"\$labels\.([a-z_]+)", block):
            if label not in labels:
                report.fault(where, f"text shows {label}, which no metric of it has")
        for part in ("summary:", "description:", "runbook:"):
            if part not in block:
                report.fault(where, f"lacks {part}")
        if not re.search(r"severity: (critical|warning)$", block, re.MULTILINE):
            report.fault(where, "lacks a severity of critical or warning")
    check_alert_tests(report, metrics, names)
    return names


def check_alert_tests(report, metrics, names):
    text = ALERT_TESTS.read_text(encoding="utf-8")
    for series in re.findall(r"- series: '([^']+)'", text):
        if series.startswith("mailkeeper"):
            check_expression(report, metrics, "alerts_test.yaml", series, set())
    checks = re.findall(r'ALERTS\{alertname="(\w+)".*\n +exp_samples:( \[\])?', text)
    for name in names:
        results = {bool(empty) for tested, empty in checks if tested == name}
        if False not in results:
            report.fault(f"alert {name}", "no test shows that it fires")
        if True not in results:
            report.fault(f"alert {name}", "no test shows that it stays quiet")
    for name in sorted({tested for tested, _ in checks} - set(names)):
        report.fault("alerts_test.yaml", f"tests {name}, which does not exist")


def check_exposition(report, metrics, path):
    """Compares a real /metrics text with the declared names, types and labels."""
    kinds = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# TYPE mailkeeper_"):
            _, _, name, kind = line.split()
            kinds[name] = kind
            if name not in metrics:
                report.fault(str(path), f"{name} is exported, but not declared in {METRICS.name}")
            elif metrics[name].kind != kind:
                report.fault(str(path), f"{name} is a {kind}, declared as {metrics[name].kind}")
        elif line.startswith("mailkeeper_"):
            name, labels = SELECTOR.match(line).groups()
            metric = declared(metrics, name)
            if metric is None:
                report.fault(str(path), f"{name} is exported, but not declared in {METRICS.name}")
                continue
            present = {label for label, _, _ in MATCHER.findall(labels or "")} - {"le"}
            # The address is exported only where the settings allow it.
            missing = set(metric.labels) - present - {"upn"}
            for label in sorted(missing | (present - set(metric.labels))):
                report.fault(str(path), f"{name}: label {label} is {'missing' if label in missing else 'not declared'}")
            check_matchers(report, str(path), name, metric, labels or "")
    if not kinds:
        report.fault(str(path), "holds no mailkeeper_ metric")


def write_rules(path, expressions):
    """All panel expressions as recording rules; JSON is YAML, so no YAML writer is needed."""
    substitutes = {"$__rate_interval": "5m", "$tenant": "contoso"}
    rules = []
    for number, (_, expression, _) in enumerate(expressions):
        for variable, value in substitutes.items():
            expression = expression.replace(variable, value)
        rules.append({"record": f"dashboard:expression_{number}", "expr": expression})
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}, indent=1), encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--exposition", type=pathlib.Path, help="a real /metrics text to compare with metrics.txt")
    parser.add_argument("--rules-out", type=pathlib.Path, help="where to write the expressions for promtool")
    arguments = parser.parse_args()

    report, used = Report(), set()
    metrics = read_metrics(METRICS)
    expressions = check_dashboard(report, metrics, used)
    alerts = check_alerts(report, metrics, used)
    for name in sorted(metrics):
        if metrics[name].is_shown != (name in used):
            what = "is used by neither dashboard nor alerts" if metrics[name].is_shown else "is shown after all"
            report.fault(METRICS.name, f"{name} {what}")
    if arguments.exposition:
        check_exposition(report, metrics, arguments.exposition)
    if arguments.rules_out:
        write_rules(arguments.rules_out, expressions)

    for fault in report.faults:
        print(f"error: {fault}", file=sys.stderr)
    if not report.faults:
        print(f"ok: {len(metrics)} metrics, {len(expressions)} dashboard expressions, {len(alerts)} alerts agree")
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
