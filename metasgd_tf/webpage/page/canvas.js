// A canvas to draw on, which keeps the strokes as points in the unit square.

const PEN = 5.5 / 105; // Of the side, as in draw.py.
const PIXELS = 320;
const APART = 0.004; // Points nearer to the last one than this are left out.

export class Drawing {
  // Calls `changed` whenever there is more to see, and `removed` when the button of an empty or an
  // extra drawing is pressed.
  constructor(label, changed, removed = null) {
    this.strokes = [];
    this.changed = changed;
    this.element = document.createElement("div");
    this.element.className = removed ? "drawing extra" : "drawing";
    this.canvas = document.createElement("canvas");
    this.canvas.width = this.canvas.height = PIXELS;
    this.canvas.setAttribute("aria-label", label);
    const clear = document.createElement("button");
    clear.textContent = "×";
    clear.title = removed ? "remove" : "clear";
    clear.addEventListener("click", () => (removed ? removed(this) : this.set([])));
    this.element.append(this.canvas, clear);
    this.canvas.addEventListener("pointerdown", (event) => this.begin(event));
    this.canvas.addEventListener("pointermove", (event) => this.go(event));
    for (const kind of ["pointerup", "pointercancel"]) {
      this.canvas.addEventListener(kind, () => (this.drawing = false));
    }
    this.paint();
  }

  set(strokes) {
    this.strokes = strokes;
    this.drawing = false;
    this.paint();
    this.changed();
  }

  point(event) {
    const box = this.canvas.getBoundingClientRect();
    const within = (value) => Math.round(1e4 * Math.min(Math.max(value, 0), 1)) / 1e4;
    return [
      within((event.clientX - box.left) / box.width),
      within((event.clientY - box.top) / box.height),
    ];
  }

  begin(event) {
    if (event.button) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.drawing = true;
    this.strokes.push([this.point(event)]);
    this.paint();
    this.changed();
  }

  go(event) {
    if (!this.drawing) return;
    const stroke = this.strokes.at(-1);
    const [x, y] = this.point(event);
    const [lastX, lastY] = stroke.at(-1);
    if (Math.hypot(x - lastX, y - lastY) < APART) return;
    stroke.push([x, y]);
    this.paint();
    this.changed();
  }

  paint() {
    this.element.classList.toggle("empty", !this.strokes.length);
    const pen = this.canvas.getContext("2d");
    pen.clearRect(0, 0, PIXELS, PIXELS);
    pen.lineWidth = PEN * PIXELS;
    pen.lineCap = pen.lineJoin = "round";
    pen.strokeStyle = "#1d2733";
    for (const stroke of this.strokes) {
      pen.beginPath();
      pen.moveTo(stroke[0][0] * PIXELS, stroke[0][1] * PIXELS);
      // A line to where it begins makes a dot of a single point.
      for (const [x, y] of stroke.length > 1 ? stroke.slice(1) : stroke) {
        pen.lineTo(x * PIXELS, y * PIXELS);
      }
      pen.stroke();
    }
  }
}
