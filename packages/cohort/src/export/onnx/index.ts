/** ONNX: networks traced to graphs, graphs written as files. */
export { encodeModel, opset, type ModelDescription } from './encode.ts';
export { operatorsOf, type Graph, type GraphConstant, type GraphNode } from './graph.ts';
export { traceGraph, type TracedOutput } from './trace.ts';
