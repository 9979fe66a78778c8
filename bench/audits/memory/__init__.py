"""What does an unlearned model still hold, or show, beyond its scores?"""
