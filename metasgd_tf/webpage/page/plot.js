// A plot as SVG.

const NS = "http://www.w3.org/2000/svg";
const LEFT = 40;
const RIGHT = 12;
const TOP = 10;
const BOTTOM = 28;

export function svg(kind, attributes) {
  const element = document.createElementNS(NS, kind);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

// Returns a path through points [x, y] in the plot's coordinates.
export function line(plot, points, name) {
  const places = points.map(([x, y]) => `${plot.x(x).toFixed(1)} ${plot.y(y).toFixed(1)}`);
  return svg("path", { class: name, d: `M${places.join("L")}` });
}

export class Plot {
  // Calls `clicked` with a point where one is clicked in its ranges.
  constructor(title, xRange, yRange, clicked, { width = 460, height = 330, every = 2 } = {}) {
    const across = width - LEFT - RIGHT;
    const down = height - TOP - BOTTOM;
    const [xLow, xHigh] = xRange;
    const [yLow, yHigh] = yRange;
    this.x = (x) => LEFT + (across * (x - xLow)) / (xHigh - xLow);
    this.y = (y) => TOP + (down * (yHigh - y)) / (yHigh - yLow);
    this.element = document.createElement("div");
    this.element.className = "plot";
    const heading = document.createElement("h2");
    heading.textContent = title;
    const drawn = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
    drawn.setAttribute("aria-label", title);
    const frame = { x: LEFT, y: TOP, width: across, height: down };
    drawn.append(svg("rect", { class: "frame", ...frame }));
    const name = `inside${title.replace(/\W/g, "")}`;
    const inside = svg("clipPath", { id: name });
    inside.append(svg("rect", frame));
    drawn.append(inside);
    for (const x of ticks(xLow, xHigh, every)) {
      drawn.append(svg("path", { class: "grid", d: `M${this.x(x)} ${TOP}v${down}` }));
      drawn.append(label(x, this.x(x), height - 9, "middle"));
    }
    for (const y of ticks(yLow, yHigh, every)) {
      drawn.append(svg("path", { class: "grid", d: `M${LEFT} ${this.y(y)}h${across}` }));
      drawn.append(label(y, LEFT - 7, this.y(y) + 4.5, "end"));
    }
    this.content = svg("g", { "clip-path": `url(#${name})` });
    drawn.append(this.content);
    drawn.addEventListener("click", (event) => {
      const at = new DOMPoint(event.clientX, event.clientY);
      const place = at.matrixTransform(drawn.getScreenCTM().inverse());
      const x = xLow + ((place.x - LEFT) / across) * (xHigh - xLow);
      const y = yHigh - ((place.y - TOP) / down) * (yHigh - yLow);
      if (x >= xLow && x <= xHigh && y >= yLow && y <= yHigh) clicked([x, y]);
    });
    this.element.append(heading, drawn);
  }

  clear() {
    this.content.replaceChildren();
  }

  add(element) {
    this.content.append(element);
  }
}

function ticks(low, high, every) {
  const first = Math.ceil(low / every);
  const count = Math.floor(high / every) - first + 1;
  return Array.from({ length: count }, (_, place) => (first + place) * every);
}

function label(value, x, y, anchor) {
  const element = svg("text", { x, y, "text-anchor": anchor });
  element.textContent = String(Math.round(100 * value) / 100).replace("-", "−");
  return element;
}
