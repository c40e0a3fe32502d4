export * from './follower.ts';
