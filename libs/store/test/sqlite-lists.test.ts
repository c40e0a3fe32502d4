// The repository contract on SQLite: lists.
import { describe } from 'vitest';
import { describeLists } from './contract/describe-lists.ts';
import { createSqliteEngine } from './sqlite-engine.ts';

describe('lists on SQLite', () => describeLists(createSqliteEngine));
