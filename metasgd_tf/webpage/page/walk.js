// The tab Walk: policies explore, learn by one update, and walk to the goal that was clicked.
import { ask, newest } from "./asking.js";
import { line, Plot, svg } from "./plot.js";

const RANGE = [-0.6, 0.6];
const GOALS = 0.5; // They are within this of the origin in both coordinates.
const MOMENTS = { before: "exploring", after: "adapted" };
const byId = (name) => document.getElementById(`walk-${name}`);

export function walk() {
  let goal = [0.3, 0.3];
  let seed = 1;
  const policies = [];
  const changed = newest("walk", () => ({ goal, seed }), shown);
  byId("again").addEventListener("click", () => {
    seed += 1;
    changed();
  });

  function clicked(point) {
    goal = point.map((value) => Math.min(Math.max(value, -GOALS), GOALS));
    changed();
  }

  function card(name) {
    const element = document.createElement("div");
    element.className = "plot policy";
    const heading = document.createElement("h2");
    heading.textContent = name;
    const sides = document.createElement("div");
    element.append(heading, sides);
    byId("policies").append(element);
    const made = {};
    for (const moment of Object.keys(MOMENTS)) {
      const size = { width: 270, height: 262, every: 0.5 };
      const plot = new Plot(`${name} ${MOMENTS[moment]}`, RANGE, RANGE, clicked, size);
      plot.element.className = "side";
      plot.said = document.createElement("p");
      plot.element.firstChild.replaceWith(plot.said);
      sides.append(plot.element);
      made[moment] = plot;
    }
    return made;
  }

  function shown(answer) {
    byId("sentence").textContent = answer.sentence ?? "";
    byId("time").textContent = answer.milliseconds ? `answered in ${answer.milliseconds} ms` : "";
    (answer.policies ?? []).forEach((walked, number) => {
      policies[number] ??= card(walked.name);
      for (const [moment, title] of Object.entries(MOMENTS)) {
        const plot = policies[number][moment];
        const mean = walked[`return_${moment}`].toFixed(1).replace("-", "−");
        plot.said.textContent = `${title}: mean return ${mean}`;
        plot.clear();
        plot.add(square(plot));
        for (const path of walked[moment]) {
          const drawn = line(plot, path, `walk ${moment}`);
          drawn.setAttribute("pathLength", 1); // The style sheet lets it grow from 0 to 1.
          plot.add(drawn);
        }
        for (const [x, y] of new Set(walked[moment].map((path) => path[0]))) {
          plot.add(svg("circle", { class: "start", cx: plot.x(x), cy: plot.y(y), r: 3.5 }));
        }
        plot.add(cross(plot, goal));
      }
    });
  }
  changed();
}

function square(plot) {
  const [left, top] = [plot.x(-GOALS), plot.y(GOALS)];
  const [width, height] = [plot.x(GOALS) - left, plot.y(-GOALS) - top];
  return svg("rect", { class: "goals", x: left, y: top, width, height });
}

function cross(plot, [x, y]) {
  const [across, down] = [plot.x(x), plot.y(y)];
  const d = `M${across - 6} ${down - 6}l12 12m0 -12l-12 12`;
  const made = svg("g", { class: "goal" });
  made.append(svg("path", { d, class: "edge" }), svg("path", { d }));
  return made;
}
