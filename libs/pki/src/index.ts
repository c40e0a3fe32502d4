export * from './ports.ts';
export * from './profile.ts';
