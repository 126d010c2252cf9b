"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // Labels of a crowded axis: as many as fit side by side when they are slanted.
  function thin(axis, width) {
    if (!axis.tickvals) return axis;
    const step = Math.ceil((axis.tickvals.length * 17) / Math.max(width, 1));
    const keep = (_, place) => (axis.tickvals.length - 1 - place) % step === 0;
    return { ...axis, tickvals: axis.tickvals.filter(keep), ticktext: axis.ticktext.filter(keep) };
  }

  function dress(layout, box) {
    const line = { gridcolor: colour("--grid"), zerolinecolor: colour("--rule"), linecolor: colour("--rule") };
    const narrow = box.clientWidth < 480;
    return {
      ...layout,
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: narrow ? 11 : 12, color: colour("--ink") },
      hoverlabel: { bgcolor: colour("--card"), bordercolor: colour("--soft"), font: { color: colour("--ink") }, align: "left" },
      xaxis: { ...thin(layout.xaxis, box.clientWidth - 90), ...line, showgrid: !layout.xaxis.tickvals },
      yaxis: { ...layout.yaxis, ...line },
    };
  }

  // Long names under the axis take their room from below, not from the plot.
  function room(axis) {
    const longest = Math.max(0, ...(axis.ticktext ?? []).map((text) => text.length));
    return axis.tickangle ? Math.max(0, longest - 8) * 5 : 0;
  }

  function draw() {
    for (const [id, figure] of Object.entries(figures)) {
      const box = document.getElementById(id);
      box.style.height = "";
      box.style.height = `${box.clientHeight + room(figure.layout.xaxis)}px`;
      Plotly.react(box, figure.data, dress(figure.layout, box), { displayModeBar: false, responsive: true });
    }
  }

  function sort(table, column, falling) {
    const body = table.tBodies[0];
    const key = (row) => (row.cells[column].dataset.order === "" ? null : Number(row.cells[column].dataset.order));
    const compare = (a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === null || y === null) return (x === null) - (y === null);
      return falling ? y - x : x - y;
    };
    body.append(...[...body.rows].sort(compare));
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) =>
      head.querySelector("button").addEventListener("click", () => {
        const falling = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", falling ? "descending" : "ascending");
        sort(table, column, falling);
      }),
    );
  }

  let waiting;
  const later = () => { clearTimeout(waiting); waiting = setTimeout(draw, 150); };
  draw();
  addEventListener("resize", later);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
