export * from './ledger-entry.ts';
export * from './model.ts';
export * from './ports.ts';
