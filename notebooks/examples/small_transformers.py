"""Transformers of 66,000 weights in their blocks: a classifier of images and a model of the next character, in plain PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTH, HEADS, BLOCKS, HIDDEN = 64, 4, 2, 128


class Block(nn.Module):
    """Attention and a perceptron of one hidden layer, each behind a layer norm and beside a shortcut."""

    def __init__(self, causal: bool) -> None:
        super().__init__()
        self.causal = causal
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, HIDDEN), nn.Linear(HIDDEN, WIDTH)

    def forward(self, tokens: Tensor) -> Tensor:
        batch, count, width = tokens.shape
        query, key, value = self.qkv(self.norm1(tokens)).reshape(batch, count, 3, HEADS, width // HEADS).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        tokens = tokens + self.out(mixed.transpose(1, 2).reshape(batch, count, width))
        return tokens + self.down(functional.gelu(self.up(self.norm2(tokens))))


class ImageClassifier(nn.Module):
    """Images [batch, 1, side, side] in square patches -> logits [batch, classes]."""

    def __init__(self, side: int, patch: int, classes: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, WIDTH, patch, stride=patch)
        self.position = nn.Parameter(0.1 * torch.randn(1, (side // patch) ** 2, WIDTH))
        self.blocks = nn.ModuleList([Block(causal=False) for _ in range(BLOCKS)])
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, classes)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.patches(images).flatten(2).transpose(1, 2) + self.position
        for block in self.blocks:
            tokens = block(tokens)
        return self.head(self.norm(tokens).mean(1))


class CharacterModel(nn.Module):
    """Characters, int64 [batch, context] -> logits of the next one, [batch * context, vocabulary]."""

    def __init__(self, context: int, vocabulary: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, WIDTH)
        self.position = nn.Parameter(0.1 * torch.randn(1, context, WIDTH))
        self.blocks = nn.ModuleList([Block(causal=True) for _ in range(BLOCKS)])
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, vocabulary)

    def forward(self, characters: Tensor) -> Tensor:
        tokens = self.embedding(characters) + self.position
        for block in self.blocks:
            tokens = block(tokens)
        return self.head(self.norm(tokens)).flatten(0, 1)
