// Shows the tabs that the server has answers for.
import { curve } from "./curve.js";
import { draw } from "./draw.js";
import { walk } from "./walk.js";

const TABS = { draw: ["Draw", draw], curve: ["Curve", curve], walk: ["Walk", walk] };

const about = await (await fetch("about")).json();
const bar = document.querySelector("nav");
const buttons = {};

function show(name) {
  for (const [other, button] of Object.entries(buttons)) {
    button.setAttribute("aria-selected", other === name);
    document.getElementById(other).hidden = other !== name;
  }
  history.replaceState(null, "", `#${name}`);
}

for (const name of about.tabs) {
  const [title, start] = TABS[name];
  const button = document.createElement("button");
  button.textContent = title;
  button.setAttribute("role", "tab");
  button.addEventListener("click", () => show(name));
  buttons[name] = button;
  bar.append(button);
  start(about);
}
const wanted = location.hash.slice(1);
show(wanted in buttons ? wanted : about.tabs[0]);
