/** Layers, their base class and weight initialisation. */
export * as init from './init.ts';
export * from './layers.ts';
export {
  Module,
  observeCalls,
  Parameter,
  StateDictError,
  type AnyModule,
  type CallObserver,
} from './module.ts';
