"use strict";
// Every value from the server is put in as text; nothing here parses HTML.

const main = document.getElementById("main");

function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value !== undefined && value !== null) node.setAttribute(name, value);
  }
  for (const child of children.flat()) {
    if (child !== undefined && child !== null) node.append(child);
  }
  return node;
}

const text = (value) => (value === null || value === undefined || value === "" ? "–" : String(value));
const datasetLink = (id, label) => el("a", { href: "#dataset=" + encodeURIComponent(id), class: "id" }, label || id);
const jobLink = (id, label) => el("a", { href: "#job=" + encodeURIComponent(id) }, label || id);
const origin = (o) => (o ? `${o.topic} / ${o.partition} / ${o.offset}` : "–");

async function api(path) {
  const headers = {};
  const token = sessionStorage.getItem("token");
  if (token) headers.authorization = "Bearer " + token;
  const response = await fetch(path, { headers });
  if (response.status === 401) {
    const given = window.prompt("This server wants a token");
    if (given) {
      sessionStorage.setItem("token", given);
      return api(path);
    }
  }
  const body = await response.json();
  if (!response.ok) throw body;
  return body;
}

function table(heads, rows) {
  if (!rows.length) return el("p", { class: "muted" }, "none");
  return el("table", {}, el("thead", {}, el("tr", {}, heads.map((head) => el("th", { scope: "col" }, head)))),
    el("tbody", {}, rows.map((row) => el("tr", {}, row.map((cell) => (cell instanceof HTMLTableCellElement ? cell : el("td", {}, cell)))))));
}

function show(...nodes) {
  main.replaceChildren(...nodes.flat().filter(Boolean));
}

const section = (title, ...content) => [el("h3", {}, title), ...content];

async function search(q, filters) {
  const page = await api("/api/v1/search?limit=50&q=" + encodeURIComponent(q) + "&filters=" + encodeURIComponent(filters));
  const facets = Object.entries(page.facets).map(([field, counts]) =>
    el("p", { class: "muted" }, field + ": ", counts.slice(0, 8).map((c) => el("span", { class: "mark" }, `${c.value} ${c.count}`))));
  show(el("h2", {}, `${page.total_results} dataset${page.total_results === 1 ? "" : "s"}`), facets,
    table(["Name", "Platform", "Type", "Columns", "Owner", "Tags", "Description"], page.results.map((r) => [
      el("td", {}, datasetLink(r.dataset_id, r.name), el("br"), el("span", { class: "id muted" }, r.dataset_id)),
      r.platform, r.type, String(r.column_count), text(r.owner), r.tags.join(", "), text(r.description)])));
}

function neighbours(list) {
  return table(["Dataset", "Job", "Confidence", "Last seen", "Record"], list.map((n) => [
    datasetLink(n.dataset_id), jobLink(n.job_id, n.job_name),
    `${n.confidence} %${n.stale ? ", stale" : ""}`, n.last_seen, origin(n.origin)]));
}

// Asked apart, as the queries of a busy dataset take a moment.
function usage(parameter) {
  const place = el("div", {});
  Promise.all([api("/api/v1/usage?limit=10&id=" + parameter), api("/api/v1/dataset-queries?limit=10&dataset=" + parameter)]).then(([used, list]) => {
    const total = used.total;
    const when = `${used.from} to ${used.to}`;
    if (!total.queries && !total.writes && !list.queries.length) return;
    const parts = [el("p", {}, `${when}: ${total.queries} queries (${total.failed} failed) by ${total.users_exact ? "" : "about "}${total.users} users, written by ${total.writes}.`)];
    if (used.users.length) parts.push(table(["User", "Queries", "Columns"], used.users.map((u) => [u.user, String(u.queries), u.columns.slice(0, 5).map((c) => c.column).join(", ")])));
    if (used.columns.length) parts.push(table(["Column", "Queries", "As filter"], used.columns.map((c) => [c.column, String(c.queries), String(c.filters)])));
    if (used.joins.length) parts.push(table(["Joined by", "With", "Its column", "Queries"], used.joins.map((j) => [j.column, datasetLink(j.other), j.other_column, String(j.queries)])));
    if (list.frequent.length) parts.push(table(["Times", "Frequent query"], list.frequent.map((f) => [String(f.queries), el("td", {}, el("pre", {}, text(f.last.text)))])));
    if (list.queries.length) parts.push(table(["When", "User", "Status", "Query"], list.queries.map((q) => [q.ended_at, text(q.user), q.status, el("td", {}, el("pre", {}, text(q.text || q.query_id)))])));
    place.append(section("Usage", ...parts));
  }, () => {});
  return place;
}

async function dataset(id) {
  const parameter = encodeURIComponent(id);
  const [page, history] = await Promise.all([api("/api/v1/datasets?id=" + parameter), api("/api/v1/schema-history?id=" + parameter)]);
  const facts = [
    ["Id", el("span", { class: "id" }, page.canonical_id)], ["Platform", `${page.platform} ${page.type}`],
    ["Existence", page.existence], ["Owners", page.owners.map((o) => `${o.name} (${o.role})`).join(", ")],
    ["Tags", page.tags.filter((t) => !t.column).map((t) => t.name).join(", ")], ["Location", page.location],
    ["Format", [page.format, page.table_format].filter(Boolean).join(", ")],
    ["Rows", page.statistics.row_count], ["Bytes", page.statistics.size_bytes],
    ["Partitions", page.partitions.count || null], ["Last write", page.statistics.last_write],
    ["Other names", page.aliases.map((a) => `${a.alias}${a.valid_to ? " until " + a.valid_to : ""}`).join(", ")],
    ["Doubts", page.issues.join(", ")],
  ].filter(([, value]) => value !== null && value !== undefined && value !== "");
  // Asked apart: on a large graph it takes longer than all the rest.
  const closure = el("p", { class: "muted" });
  api("/api/v1/lineage/closure?dataset=" + parameter).then((found) => {
    closure.textContent = `At any distance: made of ${found.upstream} datasets, used for ${found.downstream}.`;
  }, () => {});
  show(
    el("h2", {}, page.name),
    page.dataset_id !== page.canonical_id ? el("p", { class: "muted" }, `asked for as ${page.dataset_id}`) : null,
    page.description ? el("p", {}, page.description) : null,
    el("table", {}, el("tbody", {}, facts.map(([name, value]) => el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, value instanceof Node ? value : String(value)))))),
    section("Columns", table(["Column", "Type", "Nullable", "Description", "Tags", "Said by"], page.columns.map((c) => [
      el("td", { class: "depth-" + Math.min(c.depth, 3) }, c.name, c.partition_key ? " (partition key)" : ""),
      c.type, text(c.nullable), text(c.description), c.tags.join(", "),
      el("td", {}, text(c.source), c.conflicts.map((other) => el("div", { class: "bad" }, other)))]))),
    section("Made of", neighbours(page.lineage.upstream)),
    section("Used for", neighbours(page.lineage.downstream)),
    closure,
    usage(parameter),
    section("Schema history", table(["Version", "When", "Level", "Changes", "Record"], history.versions.slice().reverse().map((v) => [
      String(v.ordinal) + (v.late ? " (late)" : ""), v.time,
      el("td", { class: v.breaking ? "bad" : null }, v.level + (v.breaking ? ", breaking" : "")),
      el("td", {}, v.changes.map((c) => el("div", {}, `${c.kind} ${c.path}${c.before || c.after ? `: ${text(c.before)} → ${text(c.after)}` : ""}`))),
      origin(v.origin)]))),
    page.view_original ? section("View", el("pre", {}, page.view_original)) : null,
    page.quality.checks.length ? section("Quality", table(["Check", "Column", "Status", "When"], page.quality.checks.map((c) => [c.name, text(c.column), c.status, c.time]))) : null,
    section("Who said it", table(["Source", "What", "Records (topic / partition / offset)"], page.sources.map((s) => [
      s.source, s.aspects.join(", "), el("td", {}, s.origins.map((o) => el("div", {}, origin(o))))]))));
}

async function job(id) {
  const parameter = encodeURIComponent(id);
  const [page, list] = await Promise.all([api("/api/v1/jobs?id=" + parameter), api("/api/v1/runs?job=" + parameter)]);
  show(el("h2", {}, page.name), el("p", { class: "id muted" }, page.job_id),
    el("p", {}, [page.integration, page.job_type, page.processing].filter(Boolean).join(" · ")),
    page.parent ? el("p", {}, "part of ", jobLink(page.parent)) : null,
    page.children.length ? section("Parts", el("ul", {}, page.children.map((c) => el("li", {}, jobLink(c))))) : null,
    section("Reads", el("ul", {}, page.inputs.map((i) => el("li", {}, datasetLink(i))))),
    section("Writes", el("ul", {}, page.outputs.map((o) => el("li", {}, datasetLink(o))))),
    page.sql ? section("SQL", el("pre", {}, page.sql)) : null,
    section(`Runs (${list.total})`, table(["Run", "State", "Started", "Ended", "Error"], list.runs.map((r) => [
      el("td", { class: "id" }, r.run_id), r.state, text(r.started_at), text(r.ended_at), text(r.error)]))));
}

async function unresolved() {
  const list = await api("/api/v1/unresolved?limit=100");
  show(el("h2", {}, `${list.total} unresolved names`),
    section("Proposed rewrite rules", table(["From", "To", "Would resolve"], list.proposed_rules.map((r) => [
      el("code", {}, r.from), el("code", {}, r.to), String(r.resolves)]))),
    section("Names", table(["Name", "Why", "Could be", "Record"], list.items.map((i) => [
      datasetLink(i.dataset_id), i.reasons.join(", "),
      el("td", {}, i.candidates.map((c) => el("div", {}, datasetLink(c.dataset_id)))), origin(i.origin)]))));
}

async function changes() {
  const list = await api("/api/v1/changes?limit=100");
  show(el("h2", {}, "Changes"), table(["When", "What", "Of", "Said by", "Record"], list.changes.map((c) => [
    c.time, el("td", { class: c.breaking ? "bad" : null }, c.kind + (c.breaking ? ", breaking" : "")),
    datasetLink(c.entity), c.source, origin(c.origin)])));
}

async function route() {
  const hash = location.hash.slice(1);
  const [name, ...rest] = hash.split("=");
  const value = decodeURIComponent(rest.join("="));
  try {
    if (name === "dataset") await dataset(value);
    else if (name === "job") await job(value);
    else if (name === "unresolved") await unresolved();
    else if (name === "changes") await changes();
    else await search(document.getElementById("q").value, document.getElementById("filters").value);
    window.scrollTo(0, 0);
  } catch (problem) {
    const suggestions = (problem.details && problem.details.suggestions) || [];
    show(el("h2", {}, "No answer"), el("p", { class: "bad" }, problem.message || String(problem)),
      el("ul", {}, suggestions.map((id) => el("li", {}, datasetLink(id)))),
      problem.request_id ? el("p", { class: "muted" }, "request " + problem.request_id) : null);
  }
}

document.getElementById("search").addEventListener("submit", (event) => {
  event.preventDefault();
  if (location.hash && location.hash !== "#") location.hash = "#";
  else route();
});
window.addEventListener("hashchange", route);
route();
