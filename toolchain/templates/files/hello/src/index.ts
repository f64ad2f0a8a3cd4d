import type { Component } from "elias";

export default {
  fetch(request) {
    const name = new URL(request.url).searchParams.get("name") ?? "world";
    return new Response(`<!doctype html><title>{{name}}</title><h1>Hello, ${escape(name)}!</h1>`, {
      headers: { "content-type": "text/html; charset=utf-8" },
    });
  },
} satisfies Component;

const ENTITIES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

export function escape(text: string): string {
  return text.replace(/[&<>"]/g, (character) => ENTITIES[character] ?? "");
}
