import Stripe from "stripe";

export default {
  async fetch(request) {
    const calls = [];
    const fetch = async (url, init) => {
      calls.push([`${url}`, init.method, init.body]);
      return new Response(JSON.stringify({ id: "cus_1", object: "customer", email: "ada@example.org" }), { headers: { "content-type": "application/json", "request-id": "req_1" } });
    };
    const stripe = new Stripe("sk_test_x", { httpClient: Stripe.createFetchHttpClient(fetch), maxNetworkRetries: 0, telemetry: false });
    const customer = await stripe.customers.create({ email: "ada@example.org", metadata: { a: "b" } });
    const payload = JSON.stringify({ id: "evt_1", object: "event", type: "charge.succeeded" });
    const provider = Stripe.createSubtleCryptoProvider();
    const header = await stripe.webhooks.generateTestHeaderStringAsync({ payload, secret: "whsec_x", cryptoProvider: provider, timestamp: 1700000000 });
    const event = await stripe.webhooks.constructEventAsync(payload, header, "whsec_x", Number.MAX_SAFE_INTEGER, provider);
    return Response.json({ customer: { id: customer.id, email: customer.email }, calls, signature: event.type });
  },
};
