// A response that goes out piece by piece: each number as soon as it is there.
export default {
  fetch(request) {
    const count = Math.min(Number(new URL(request.url).searchParams.get("count") ?? 5), 1000);
    let next = 1;
    const numbers = new ReadableStream({
      async pull(controller) {
        if (next > count) {
          controller.close();
          return;
        }
        await new Promise((resolve) => setTimeout(resolve, 10));
        controller.enqueue(`${next}\n`);
        next += 1;
      },
    });
    return new Response(numbers.pipeThrough(new TextEncoderStream()), {
      headers: { "content-type": "text/plain; charset=utf-8" },
    });
  },
};
