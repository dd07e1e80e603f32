/** A Worker that does nothing: what starting one costs at least. */
export default {
  fetch: (): Response => Response.json({ status: "ok" }),
};
