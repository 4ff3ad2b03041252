// The tab Curve: points of a sinusoid, and every learner's fits to them after some steps.
import { ask, newest } from "./asking.js";
import { line, Plot, svg } from "./plot.js";

const MOST = 50; // Points, as in curve.py.
const NEAR = 12; // A click so near to a point, in units of the plot, takes it away.
const X = [-5, 5];
const Y = [-6, 6];
const LEGEND = { truth: "the curve", step0: "before", step1: "1 step", step2: "2 steps", step3: "3 steps" };
const byId = (name) => document.getElementById(`curve-${name}`);

export function curve() {
  let points = [];
  let truth = null;
  const plots = [];
  const changed = newest("curve", () => ({ points }), shown);
  for (const [kind, title] of Object.entries(LEGEND)) byId("legend").append(sample(kind, title));
  byId("example").addEventListener("click", fill);
  byId("clear").addEventListener("click", () => set([], null));

  function set(newPoints, newTruth) {
    points = newPoints;
    truth = newTruth;
    changed();
  }

  async function fill() {
    const made = await ask("curve_example", { seed: Math.floor(Math.random() * 1e6) });
    if (made.sentence) shown(made);
    else set(made.points, made.x.map((x, place) => [x, made.curve[place]]));
  }

  function clicked(plot, [x, y]) {
    const near = ([otherX, otherY]) => {
      const [fromX, fromY] = [plot.x(otherX) - plot.x(x), plot.y(otherY) - plot.y(y)];
      return Math.hypot(fromX, fromY) < NEAR;
    };
    const left = points.filter((point) => !near(point));
    if (left.length === points.length && points.length < MOST) left.push([x, y]);
    set(left, truth);
  }

  function shown(answer) {
    byId("sentence").textContent = answer.sentence ?? "";
    byId("time").textContent = answer.milliseconds ? `answered in ${answer.milliseconds} ms` : "";
    (answer.learners ?? []).forEach(({ name, fits }, number) => {
      if (!plots[number]) {
        const plot = new Plot(name, X, Y, (point) => clicked(plot, point));
        plots[number] = plot;
        byId("plots").append(plot.element);
      }
      const plot = plots[number];
      plot.clear();
      if (truth) plot.add(line(plot, truth, "truth"));
      // The first step last, so that it lies on top.
      for (const step of [0, 3, 2, 1].filter((one) => one < fits.length)) {
        const fit = answer.x.map((x, place) => [x, fits[step][place]]);
        plot.add(line(plot, fit, `fit step${step}`));
      }
      for (const [x, y] of points) {
        plot.add(svg("circle", { class: "point", cx: plot.x(x), cy: plot.y(y), r: 5.5 }));
      }
    });
  }
  changed();
}

function sample(kind, title) {
  const item = document.createElement("li");
  const drawn = svg("svg", { viewBox: "0 0 30 12" });
  const name = kind === "truth" ? kind : `fit ${kind}`;
  drawn.append(svg("path", { class: name, d: "M3 6H27" }));
  item.append(drawn, title);
  return item;
}
