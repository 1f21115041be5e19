import type { Attributes, Node } from '../graph.ts'
import type { Emitter } from './emitter.ts'
import type { Facts } from './facts.ts'
import type { Formulations } from './formulations.ts'

/** What a rule is given: one node of the forward graph and the gradients that have arrived at its outputs. */
export interface Call {
  readonly node: Node
  readonly attributes: Attributes
  /** Appends nodes to the backward pass. */
  readonly op: Emitter
  /** The node's inputs, by name; `''` where an optional one is absent. */
  readonly x: readonly string[]
  /** The node's first output. */
  readonly y: string
  /** Gradient of the loss with respect to the first output. */
  readonly dy: string
  /** Gradients with respect to all outputs; null where none arrived. */
  readonly dys: readonly (string | null)[]
  /** The name of the node's output number `index`; added to the node where the model left it out. */
  output(index: number): string
  /** The node that computes a value; undefined for inputs and weights. */
  producer(value: string): Node | undefined
  readonly facts: Facts
  /** How a few gradients are best written for the provider that will run them. */
  readonly formulations: Formulations
}

/**
 * The gradient with respect to one input, emitted only when it is asked for, or null where it is zero by definition
 * (indices, shapes, steps): "no gradient" is a statement, "no rule" an error.
 */
export type InputGradient = (() => string) | null

export interface Rule {
  /**
   * True for operators whose inputs are broadcast to the output's shape: then gradients come in the output's shape and
   * the walker sums them down to each input's.
   */
  readonly broadcasts: boolean
  /** True if the gradients take account of all outputs; else only the first may carry one. */
  readonly allOutputs: boolean
  /** True if integer results stand for real numbers, so that gradients pass back through them. */
  readonly integers: boolean
  /** One gradient per input; the last entry stands for all further inputs of a variadic operator. */
  readonly gradients: (call: Call) => readonly InputGradient[]
}

/** An operator whose outputs don't change under small changes of its inputs, or are no numbers at all. */
export interface NoGradient {
  readonly reason: string
}

export type RuleTable = Readonly<Record<string, Rule | NoGradient>>

export const rule = (gradients: Rule['gradients']): Rule => ({
  broadcasts: false,
  allOutputs: false,
  integers: false,
  gradients,
})

export const broadcasting = (gradients: Rule['gradients']): Rule => ({ ...rule(gradients), broadcasts: true })

/** For an operator of several differentiable outputs: the gradients are sums over `dys`. */
export const ruleOfAllOutputs = (gradients: Rule['gradients']): Rule => ({
  ...rule(gradients),
  allOutputs: true,
})

/** For an operator, or an override, whose integer results stand for real numbers. */
export const ruleThroughIntegers = (gradients: Rule['gradients']): Rule => ({
  ...rule(gradients),
  integers: true,
})

/** The gradient is zero, and meant to be: piecewise constant, integer or Boolean results. */
export const noGradient = (reason: string): NoGradient => ({ reason })

/** A function of one input, element by element: the gradient from dy, the input and the output. */
export const unary = (
  derivative: (op: Emitter, dy: string, x: string, y: string, call: Call) => string,
): Rule => rule((call) => [() => derivative(call.op, call.dy, call.x[0]!, call.y, call)])
