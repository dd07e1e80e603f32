/** An empty Worker: the least time that starting one takes. */
export default {
  fetch: (): Response => Response.json({ status: "ok" }),
};
