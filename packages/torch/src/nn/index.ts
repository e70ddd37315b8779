/** Layers, their base class and weight initialisation. */
export * as init from './init.ts';
export * from './layers.ts';
export { Module, Parameter, StateDictError, type AnyModule } from './module.ts';
