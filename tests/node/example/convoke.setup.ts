// Runs once per test run: one process of Convoke for all test files.
import { type Address, start } from "convoke-testing";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  interface ProvidedContext {
    convoke: Address;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const convoke = await start();
  project.provide("convoke", convoke.address);
  return () => convoke.stop();
}
