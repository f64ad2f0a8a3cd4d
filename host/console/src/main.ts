import "./app.css";
import { mount } from "svelte";
import App from "./App.svelte";
import { preferences } from "./lib/preferences.svelte";

const target = document.getElementById("app");
void preferences.begin().then(() => {
  if (target !== null) mount(App, { target });
});
