// The repository contract on SQLite: commits.
import { describe } from 'vitest';
import { describeCommits } from './contract/describe-commits.ts';
import { createSqliteEngine } from './sqlite-engine.ts';

describe('commits on SQLite', () => describeCommits(createSqliteEngine));
