// The tab Draw: five classes, a query, and the probabilities of the classes.
import { ask, newest } from "./asking.js";
import { Drawing } from "./canvas.js";

const MOST = 20; // Drawings of one class.
const byId = (name) => document.getElementById(`draw-${name}`);

export function draw(about) {
  const classes = [];
  const changed = newest("draw", request, shown);
  const query = new Drawing("query", changed);
  byId("query").append(query.element);
  for (let number = 0; number < about.ways; number++) classes.push(oneClass(number));
  byId("examples").addEventListener("click", fill);
  byId("clear").addEventListener("click", () => set(classes.map(() => [[]]), []));

  function oneClass(number) {
    const element = document.createElement("div");
    element.className = "class";
    const name = document.createElement("input");
    name.value = `class ${number + 1}`;
    name.maxLength = 24;
    name.setAttribute("aria-label", `name of class ${number + 1}`);
    const more = document.createElement("button");
    more.textContent = "+ another drawing";
    element.append(name, more);
    byId("classes").append(element);
    const row = document.createElement("tr");
    const title = row.insertCell();
    const [after, before] = ["after", "before"].map((moment) => bar(row.insertCell(), moment));
    byId("answer").tBodies[0].append(row);
    const made = { element, name, row, title, after, before, drawings: [] };
    made.add = (strokes) => {
      const remove = made.drawings.length ? (one) => made.remove(one) : null;
      const drawing = new Drawing(`drawing of class ${number + 1}`, changed, remove);
      drawing.strokes = strokes;
      drawing.paint();
      made.drawings.push(drawing);
      more.before(drawing.element);
      more.hidden = made.drawings.length >= MOST;
    };
    made.remove = (drawing) => {
      made.drawings = made.drawings.filter((one) => one !== drawing);
      drawing.element.remove();
      more.hidden = false;
      changed();
    };
    made.add([]);
    more.addEventListener("click", () => made.add([]));
    const rename = () => (title.textContent = name.value.trim() || `class ${number + 1}`);
    name.addEventListener("input", rename);
    rename();
    made.rename = (text) => {
      name.value = text;
      rename();
    };
    return made;
  }

  function set(drawings, asked, names = []) {
    classes.forEach((one, number) => {
      for (const drawing of one.drawings) drawing.element.remove();
      one.drawings = [];
      for (const strokes of drawings[number] ?? [[]]) one.add(strokes);
      if (names[number]) one.rename(names[number]);
    });
    query.set(asked);
  }

  async function fill() {
    const made = await ask("draw_examples", { seed: Math.floor(Math.random() * 1e6) });
    if (made.sentence) shown(made);
    else set(made.classes, made.query, made.names);
  }

  function request() {
    return {
      classes: classes.map((one) => one.drawings.map((drawing) => drawing.strokes)),
      query: query.strokes,
    };
  }

  function shown(answer) {
    byId("sentence").textContent = answer.sentence ?? "";
    byId("answer").classList.toggle("off", "sentence" in answer);
    byId("time").textContent = answer.sentence ? "" : `answered in ${answer.milliseconds} ms`;
    seen(answer.seen);
    const best = answer.adapted ? answer.adapted.indexOf(Math.max(...answer.adapted)) : -1;
    classes.forEach((one, number) => {
      for (const part of [one.row, one.element]) part.classList.toggle("answer", number === best);
      one.after(answer.adapted?.[number]);
      one.before(answer.unadapted?.[number]);
    });
  }
  changed();
}

function bar(cell, moment) {
  const element = document.createElement("div");
  element.className = `bar ${moment}`;
  const [track, text, fill] = ["span", "span", "i"].map((kind) => document.createElement(kind));
  track.append(fill);
  element.append(track, text);
  cell.append(element);
  return (probability) => {
    fill.style.width = `${100 * (probability ?? 0)}%`;
    text.textContent = probability === undefined ? "–" : `${(100 * probability).toFixed(1)} %`;
  };
}

function seen(rows) {
  const pen = byId("seen").getContext("2d");
  pen.clearRect(0, 0, 28, 28);
  if (!rows) return;
  const image = pen.createImageData(28, 28);
  rows.flat().forEach((ink, place) => image.data.set([29, 39, 51, ink], 4 * place));
  pen.putImageData(image, 0, 0);
}
