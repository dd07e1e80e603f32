/** Fan-out and fan-in: a thousand images, some of them unreadable; only failed items are tried again. */
import { defineWorkflow, NonRetryableError, presets } from "holdfast";
import * as z from "zod";

export const resizeImages = defineWorkflow("resize-images", {
  input: z.object({
    count: z.int().min(0).max(10_000).default(1000),
    /** The indexes of unreadable images. */
    broken: z.array(z.int()).default([]),
    /** How many, or which share, may fail before the run fails. */
    tolerate: z.number().min(0).default(0.01),
  }),
  handler: async (input, step) => {
    const images = Array.from({ length: input.count }, (_unused, index) => `image-${index}.png`);
    const sizes = await step.map(
      "resize",
      images,
      (image, { index }) => {
        if (input.broken.includes(index)) throw new NonRetryableError(`${image} is no image`);
        return { image, bytes: 1000 + index };
      },
      { ...presets.media, concurrency: 50, tolerate: input.tolerate },
    );
    // A failed item leaves a gap, and its error is in the history.
    const resized = sizes.filter((size) => size !== undefined);
    step.log.info("resized", { done: resized.length });
    return { resized: resized.length, failed: images.length - resized.length };
  },
});
