import { h, render } from "preact";
import { Api } from "./api.js";
import { App } from "./app.js";
import { LivePage } from "./live-page.js";

const root = document.getElementById("page");
if (root === null) {
  throw new Error("index.html has no element for the page");
}
const place: Element = root;

// Whatever changes, the page is drawn once a frame at most.
let isDrawing = false;
function draw(): void {
  if (!isDrawing) {
    isDrawing = true;
    requestAnimationFrame(() => {
      isDrawing = false;
      render(h(App, { page }), place);
    });
  }
}

const page = new LivePage({ api: new Api(new URL("..", document.baseURI)), changed: draw });
page.start();
draw();
