"use strict";
/* The language matrix of an evaluation: numbers first, colour second, the interval on hover and on focus. */

function showReports(reports) {
  const choice = document.getElementById("report-choice");
  const measure = document.getElementById("report-measure");
  choice.replaceChildren(...reports.map((report, place) => new Option(`${report.system} on ${report.data}`, place)));
  const drawn = () => drawMatrix(reports[choice.value], measure.value);
  choice.addEventListener("change", () => { offerMeasures(reports[choice.value]); drawn(); });
  measure.addEventListener("change", drawn);
  offerMeasures(reports[0]);
  drawn();
}

function offerMeasures(report) {
  const measure = document.getElementById("report-measure");
  const kept = report.measures.includes(measure.value) ? measure.value : report.measures[0];
  measure.replaceChildren(...report.measures.map((name) => new Option(name, name, name === kept, name === kept)));
}

function drawMatrix(report, measure) {
  const queries = [...new Set(report.cells.map((cell) => cell.query))].sort();
  const passages = [...new Set(report.cells.map((cell) => cell.passage))].sort();
  const cells = new Map(report.cells.map((cell) => [`${cell.query} ${cell.passage}`, cell]));
  const values = report.cells.map((cell) => cell.scores[measure]?.[0]).filter((value) => value !== undefined);
  const range = [Math.min(...values), Math.max(...values)];
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  for (const name of ["query ↓  passage →", ...passages]) head.append(heading(name, "col"));
  const body = table.createTBody();
  for (const query of queries) {
    const row = body.insertRow();
    row.append(heading(query, "row"));
    for (const passage of passages) row.append(matrixCell(cells.get(`${query} ${passage}`), measure, range));
  }
  document.getElementById("matrix").replaceChildren(table);
  document.getElementById("report-text").textContent = summaryOf(values, report.cells.length, measure);
  document.getElementById("report-detail").textContent = "Point at a cell, or go to it with Tab, for its interval.";
  document.getElementById("report-notes").replaceChildren(...report.notes.map((note) => {
    const item = document.createElement("li");
    item.textContent = note;
    return item;
  }));
}

function heading(text, scope) {
  const made = document.createElement("th");
  made.scope = scope;
  made.textContent = text;
  return made;
}

function summaryOf(values, all, measure) {
  if (!values.length) return `No cell has a value of ${measure}.`;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const blank = all - values.length;
  return `${measure}: mean ${mean.toFixed(3)} over ${values.length} language pairs` +
    (blank ? `; ${blank} blank, which no mean contains` : "");
}

function matrixCell(cell, measure, [low, high]) {
  const made = document.createElement("td");
  const score = cell?.scores[measure];
  made.tabIndex = cell ? 0 : -1;
  if (!score) {
    made.className = "blank";
    made.textContent = "·";
  } else {
    made.textContent = score[0].toFixed(3);
    const share = high > low ? (score[0] - low) / (high - low) : 1;
    // The accent, mixed into the ground; the number keeps the ink's contrast on every mixture up to 45 %.
    made.style.background = `color-mix(in srgb, var(--accent) ${Math.round(4 + 41 * share)}%, var(--ground))`;
  }
  if (cell) {
    const text = detailOf(cell, measure, score);
    made.title = text;
    made.setAttribute("aria-label", text);
    const say = () => { document.getElementById("report-detail").textContent = text; };
    made.addEventListener("mouseenter", say);
    made.addEventListener("focus", say);
  }
  return made;
}

function detailOf(cell, measure, score) {
  const pair = `${cell.query} queries, ${cell.passage} passages`;
  if (!score) return `${pair}: blank, ${cell.blank ?? "not measured"}`;
  const [value, low, high] = score.map((number) => number.toFixed(3));
  return `${pair}: ${measure} ${value}, 95 % interval ${low} to ${high}, over ${cell.queries.toLocaleString("en")} queries and ` +
    `${cell.passages.toLocaleString("en")} passages`;
}
