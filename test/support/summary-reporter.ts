// Writes how many tests passed and failed to build/test-summary.txt, for the closing line of scripts/test.
import { mkdirSync, writeFileSync } from 'node:fs';
import type { Reporter, TestModule } from 'vitest/node';

/** A file that could not be loaded and an error outside any test count as one failed test each. */
export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    let passed = 0;
    let failed = unhandledErrors.length;
    for (const module of modules) {
      let failedHere = 0;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === 'passed') passed += 1;
        if (state === 'failed') failedHere += 1;
      }
      failed += failedHere === 0 && module.state() === 'failed' ? 1 : failedHere;
    }
    mkdirSync('build', { recursive: true });
    writeFileSync('build/test-summary.txt', `${passed} passed, ${failed} failed\n`);
  }
}
