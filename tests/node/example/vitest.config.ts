import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    globalSetup: "./convoke.setup.ts",
    // The files share one clock, so files that move the clock run one after the other.
    fileParallelism: false,
  },
});
