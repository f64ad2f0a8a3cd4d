import imageSize from "image-size";
import { PDFDocument, StandardFonts } from "pdf-lib";
import pug from "pug";
import QRCode from "qrcode";

const png = Uint8Array.from(atob("iVBORw0KGgoAAAANSUhEUgAAAAMAAAACCAYAAACddGYaAAAAC0lEQVR4nGNgwAQAABYAAX8pZQ8AAAAASUVORK5CYII="), (c) => c.charCodeAt(0));

export const requests = ["/", "/pdf"];

export default {
  async fetch(request) {
    if (new URL(request.url).pathname === "/pdf") {
      const pdf = await PDFDocument.create();
      const page = pdf.addPage([200, 100]);
      page.drawText("Hello", { x: 10, y: 50, size: 12, font: await pdf.embedFont(StandardFonts.Helvetica) });
      pdf.setProducer("test");
      pdf.setCreationDate(new Date(0));
      pdf.setModificationDate(new Date(0));
      const bytes = await pdf.save();
      const again = await PDFDocument.load(bytes);
      return Response.json({ length: bytes.length, pages: again.getPageCount(), size: again.getPage(0).getSize() });
    }
    return Response.json({
      size: imageSize(png),
      pug: pug.compile("ul\n  each one in list\n    li= one")({ list: ["<a>", 2] }),
      qr: await QRCode.toString("https://example.org", { type: "svg" }),
      modules: QRCode.create("text").modules.size,
    });
  },
};
