import { recipeSchema } from '../schema/recipe.ts'
import { shelf } from '../shelf.ts'

const recipes = shelf('recipes', 'recipe', recipeSchema)

export const recipeNames = recipes.names
export const readRecipe = recipes.read
