// What stands before many express applications.
import cookieParser from "cookie-parser";
import cors from "cors";
import express from "express";
import helmet from "helmet";
import { contentType, extension, lookup } from "mime-types";
import morgan from "morgan";
import { createServer } from "node:http";

export const requests = ["/", "/signed", "/types"];

const lines = [];
const app = express();
app.use(helmet());
app.use(cors({ origin: "https://example.org" }));
app.use(cookieParser("secret"));
app.use(morgan("tiny", { stream: { write: (line) => lines.push(line) } }));
app.get("/", (request, response) => {
  const names = response.getHeaderNames().filter((name) => !["date", "connection", "keep-alive"].includes(name)).sort();
  response.json({ names, policy: response.getHeader("content-security-policy"), origin: response.getHeader("access-control-allow-origin") });
});
app.get("/signed", (request, response) => {
  response.cookie("user", "ada", { signed: true });
  response.json({ cookie: response.getHeader("set-cookie"), read: cookieParser.signedCookie("s:ada.rQsSxZxkRRwkgUqsTBSYl7VNzl8sOJ4ZhXbxOVnAU7o", "secret") });
});
app.get("/types", (request, response) => response.json([lookup("a.json"), contentType("html"), extension("image/png")]));

export default createServer(app).listen(0);
