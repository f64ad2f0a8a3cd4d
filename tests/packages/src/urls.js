// URLs that parsers differ in: international host names, `file:` URLs, and paths that look like hosts.
const PARTS = ["href", "host", "pathname", "search", "hash", "origin"];
const parsed = (input, base) => (URL.canParse(input, base) ? PARTS.map((part) => new URL(input, base)[part]) : null);
const changed = (href, part, value) => {
  const url = new URL(href);
  url[part] = value;
  return [url.href, new URL(url.href).href === url.href];
};

export default {
  fetch() {
    return Response.json({
      hosts: [
        "https://bücher.example/", "https://Ｇｏ.example/", "https://xn--pokxncvks.example/", "https://a%C2%ADb.example/", "https://日本語。ＪＰ/", "https://faß.de/", "https://xn--fa-hia.de/", "https://münchen.de:8080/p",
        "https://GRÜSSE.example", "https://\u0627\u0628.example/", "https://xn--a.example/", "https://a.b.c.XN--pokxncvks/", "https://☃.net/", "https://%E4%BD%A0%E5%A5%BD/", "https://a\u200db.example/",
        "https://1.2.3.4.５/", "http://０Ｘｃ０．０２５０．０１/", "https://ex%ample/", "https://\u2100.example/", "wss://ü@ü.example/ü?ü#ü", "custom://bücher/",
      ].map((input) => parsed(input)),
      files: [
        ["file:"], ["file:///"], ["file:C:/a/../b"], ["file:///C|/x"], ["file://host/C:/y"], ["file://localhost//a//../..//foo"], ["file:////one/two"], ["file:///.//"], ["file:.//p"], ["file:///C:/.."], ["file://C|/z"],
        ["C|/", "file://host/dir/file"], ["/C:/", "file://host/"], ["//", "file://h/C:/a"], ["/", "file://h/C:/a/b"], ["..", "file:///C:/a/b"], ["?q", "file:///a/b?x#y"], ["#f", "file:///a?x#y"], ["", "file:///a?x#y"], ["\\\\server\\file", "file:///a"],
        ["file:a%2e%2e/%2E%2e/b c", "file:///x/y"], ["FILE:///A B?c d'#e`"], ["file://a:80/"], ["file://%43%3A/"], ["file://bücher/x"], ["http:x", "file:///a"], ["file:x", "http://a/b"], ["x", "file://ü/a/b"],
      ].map(([input, base]) => parsed(input, base)),
      paths: [
        changed("non-spec:/", "pathname", "/.//p"), changed("non-spec:/", "pathname", "//p"), changed("non-spec:/a", "pathname", "/..//p"), changed("non-spec:/.//p", "hostname", "h"), changed("foo:///some/path", "pathname", ""),
        changed("non-spec://h:1/a?q#f", "pathname", "b c?#"), changed("data:opaque", "pathname", "/x"), changed("file:///a/b", "pathname", "\\\\x\\..\\y"), changed("file://h/a", "hostname", "localhost"), changed("file://h/a", "host", "x:1"),
        changed("file:///a", "port", "1"), changed("file:///a?x", "search", ""), changed("file:///a", "hash", "#é"), changed("file://monkey/", "pathname", "\\\\"), changed("http://a/", "hostname", "bücher"), changed("file://h/a", "protocol", "http"),
      ],
      resolved: [parsed("//x/y", "non-spec:/a"), parsed("/.//p", "non-spec:/a"), parsed("..//p", "non-spec:/a/b")],
    });
  },
};
