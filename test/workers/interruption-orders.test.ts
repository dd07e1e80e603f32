/** A run whose requests couriers make, and whose process ends wherever it can. */
import { inject } from "vitest";
import { interrupted } from "./stage.ts";

interrupted([
  {
    title: "requests that are made elsewhere",
    workflow: "asks-twice",
    input: () => `${inject("httpServer")}/ask?body=1&ms=20`,
    calls: [],
  },
]);
