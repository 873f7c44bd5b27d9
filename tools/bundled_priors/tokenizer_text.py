"""A page of ordinary English for training the tokenizer beyond the captions' vocabulary."""

from __future__ import annotations

TEXT = """
A man and a woman walk down the street with their dog. The sun is low, the sky is clear and blue, and the houses on
the other side of the river are small. A boy sits under a big old tree and reads a book about the sea, ships and
animals. There is a bird on the roof, a cat behind the window, and a horse near the road. In the kitchen you can see
bread, cheese, an apple, two oranges, a bottle of water and a cup of hot coffee on a wooden table. The girl wears a
long red coat, black shoes and a warm hat. At night the moon and the stars shine over the dark forest, the mountain
and the lake. It was raining all day, so the children stayed inside, drawing pictures of flowers, fish, cars, trains
and robots. This is a photo of a beautiful landscape; that is a painting of a king in the style of an old master.
They have been working for many years, but now they want to go home. What do you think about it? I would like to make
something new, something simple, round, soft, bright, shiny and very strange. One, two, three, four, five, six, seven,
eight, nine, ten: more or less, first or last, high or low, left or right, front or back, top or bottom, inside or
outside, before and after. A close portrait of a person, highly detailed, realistic, with soft light and sharp focus.
The teapot, the vase, the lamp, the clock, the chair, the bed, the door, the key, the ball, the box, the bowl, the
plate, the knife, the fork, the spoon, the glass, the phone, the computer, the camera, the guitar, the piano, the
bicycle, the plane, the boat, the bus, the bridge, the castle, the tower, the church, the garden, the farm, the field.
Lion, tiger, bear, wolf, fox, rabbit, mouse, elephant, monkey, snake, frog, turtle, duck, chicken, pig, cow, sheep,
dragon, unicorn, knight, wizard, astronaut, pirate, soldier, doctor, teacher, baby, friend, mother, father, family.
White, grey, brown, gold, silver, pink, purple, violet, turquoise, green, yellow, orange, metal, wood, stone, glass,
paper, plastic, leather, cotton, ice, snow, fire, smoke, cloud, wind, sand, grass, leaf, fruit, cake, pizza, burger.
Small, large, tiny, huge, tall, short, wide, thin, thick, heavy, light, fast, slow, happy, sad, angry, young, ancient.
"""
