export * from './engine.ts';
export * from './session.ts';
